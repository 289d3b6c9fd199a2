"""Golden strategic merges: last-applied, desired and live in, patch and result out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.manifest.keys import GroupVersionKind, JSONObject

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
SERVICE = GroupVersionKind("", "v1", "Service")
BUDGET = GroupVersionKind("policy", "v1", "PodDisruptionBudget")


@dataclass(frozen=True)
class Case:
    """One merge. The objects are completed with apiVersion, kind and name."""

    id: str
    gvk: GroupVersionKind
    last_applied: JSONObject | None
    desired: JSONObject
    live: JSONObject
    patch: JSONObject
    result: JSONObject = field(repr=False)

    def __str__(self) -> str:
        return self.id


def _object(gvk: GroupVersionKind, body: JSONObject) -> JSONObject:
    metadata = {"name": "web", **body.get("metadata", {})}
    return {"apiVersion": gvk.api_version, "kind": gvk.kind, **body, "metadata": metadata}


def _case(
    name: str,
    gvk: GroupVersionKind,
    *,
    last: JSONObject | None,
    desired: JSONObject,
    live: JSONObject,
    patch: JSONObject,
    result: JSONObject,
) -> Case:
    owned = None if last is None else _object(gvk, last)
    whole = (_object(gvk, desired), _object(gvk, live))
    return Case(name, gvk, owned, *whole, patch, _object(gvk, result))


def _metadata(name: str, *, last: Any, desired: Any, live: Any, patch: Any, result: Any) -> Case:
    return _case(
        name,
        SERVICE,
        last=None if last is None else {"metadata": last},
        desired={"metadata": desired},
        live={"metadata": live},
        patch={"metadata": patch} if patch else {},
        result={"metadata": result},
    )


def _spec(
    name: str, gvk: GroupVersionKind, *, last: Any, desired: Any, live: Any, patch: Any, result: Any
) -> Case:
    return _case(
        name,
        gvk,
        last=None if last is None else {"spec": last},
        desired={"spec": desired},
        live={"spec": live},
        patch={"spec": patch} if patch else {},
        result={"spec": result},
    )


def _pod_body(pod: Any) -> JSONObject:
    return {"spec": {"template": {"spec": pod}}}


def _pod(name: str, *, last: Any, desired: Any, live: Any, patch: Any, result: Any) -> Case:
    return _case(
        name,
        DEPLOYMENT,
        last=None if last is None else _pod_body(last),
        desired=_pod_body(desired),
        live=_pod_body(live),
        patch=_pod_body(patch) if patch else {},
        result=_pod_body(result),
    )


def _container(name: str, *, last: Any, desired: Any, live: Any, patch: Any, result: Any) -> Case:
    def one(body: Any) -> Any:
        return {"containers": [{"name": "app", **body}]}

    return _pod(
        name,
        last=None if last is None else one(last),
        desired=one(desired),
        live=one(live),
        patch={"$setElementOrder/containers": [{"name": "app"}], **one(patch)} if patch else {},
        result=one(result),
    )


SCALARS_AND_MAPS = [
    _spec(
        "a changed and an added scalar",
        DEPLOYMENT,
        last=None,
        desired={"replicas": 3, "paused": True},
        live={"replicas": 1, "minReadySeconds": 5},
        patch={"replicas": 3, "paused": True},
        result={"replicas": 3, "paused": True, "minReadySeconds": 5},
    ),
    _spec(
        "a field git dropped is deleted, one of others stays",
        DEPLOYMENT,
        last={"replicas": 1},
        desired={},
        live={"replicas": 9, "minReadySeconds": 5},
        patch={"replicas": None},
        result={"minReadySeconds": 5},
    ),
    _spec(
        "a field git dropped and live has no more",
        DEPLOYMENT,
        last={"replicas": 1},
        desired={},
        live={"minReadySeconds": 5},
        patch={},
        result={"minReadySeconds": 5},
    ),
    _spec(
        "a field git never mentioned (an autoscaler's replicas)",
        DEPLOYMENT,
        last={"paused": True},
        desired={"paused": True},
        live={"paused": True, "replicas": 7},
        patch={},
        result={"paused": True, "replicas": 7},
    ),
    _spec(
        "null in git deletes what live has",
        DEPLOYMENT,
        last=None,
        desired={"replicas": None, "paused": None},
        live={"replicas": 7},
        patch={"replicas": None},
        result={},
    ),
    _spec(
        "a null git no longer says deletes what came in its place, as with kubectl",
        DEPLOYMENT,
        last={"replicas": None},
        desired={},
        live={"replicas": 1},
        patch={"replicas": None},
        result={},
    ),
    _spec(
        "nulls inside something new are left out",
        DEPLOYMENT,
        last=None,
        desired={"template": {"spec": {"nodeSelector": {"a": "b", "c": None}}}},
        live={},
        patch={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
        result={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
    ),
    _spec(
        "integers beyond 2^53 are exact",
        DEPLOYMENT,
        last=None,
        desired={"replicas": 9007199254740993},
        live={"replicas": 9007199254740992},
        patch={"replicas": 9007199254740993},
        result={"replicas": 9007199254740993},
    ),
    _spec(
        "1 and 1.0 are one number",
        DEPLOYMENT,
        last=None,
        desired={"replicas": 1.0},
        live={"replicas": 1},
        patch={},
        result={"replicas": 1},
    ),
    _spec(
        "true is not 1",
        DEPLOYMENT,
        last=None,
        desired={"paused": True},
        live={"paused": 1},
        patch={"paused": True},
        result={"paused": True},
    ),
    _spec(
        "an empty map is not an absent one",
        DEPLOYMENT,
        last=None,
        desired={"template": {"spec": {"securityContext": {}}}},
        live={"template": {"spec": {}}},
        patch={"template": {"spec": {"securityContext": {}}}},
        result={"template": {"spec": {"securityContext": {}}}},
    ),
    _spec(
        "an empty map asks nothing of a full one",
        DEPLOYMENT,
        last=None,
        desired={"template": {"spec": {"securityContext": {}}}},
        live={"template": {"spec": {"securityContext": {"runAsUser": 1}}}},
        patch={},
        result={"template": {"spec": {"securityContext": {"runAsUser": 1}}}},
    ),
    _spec(
        "a string becomes a map",
        DEPLOYMENT,
        last=None,
        desired={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
        live={"template": {"spec": {"nodeSelector": "a"}}},
        patch={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
        result={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
    ),
    _spec(
        "a map becomes a list",
        DEPLOYMENT,
        last=None,
        desired={"template": {"spec": {"containers": [{"name": "a"}]}}},
        live={"template": {"spec": {"containers": {"name": "a"}}}},
        patch={"template": {"spec": {"containers": [{"name": "a"}]}}},
        result={"template": {"spec": {"containers": [{"name": "a"}]}}},
    ),
    _spec(
        "a map with the replace strategy is taken whole",
        BUDGET,
        last=None,
        desired={"selector": {"matchLabels": {"a": "b"}}},
        live={"selector": {"matchLabels": {"a": "c", "d": "e"}}},
        patch={"selector": {"matchLabels": {"a": "b"}}},
        result={"selector": {"matchLabels": {"a": "b"}}},
    ),
    _spec(
        "an equal map with the replace strategy",
        BUDGET,
        last=None,
        desired={"selector": {"matchLabels": {"a": "b"}}},
        live={"selector": {"matchLabels": {"a": "b"}}},
        patch={},
        result={"selector": {"matchLabels": {"a": "b"}}},
    ),
]

RETAIN_KEYS = [
    _spec(
        "another strategy clears the fields of the old one",
        DEPLOYMENT,
        last={"strategy": {"type": "RollingUpdate"}},
        desired={"strategy": {"type": "Recreate"}},
        live={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        patch={"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
        result={"strategy": {"type": "Recreate"}},
    ),
    _spec(
        "the default the server filled in is no difference",
        DEPLOYMENT,
        last={"strategy": {"type": "RollingUpdate"}},
        desired={"strategy": {"type": "RollingUpdate"}},
        live={
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            }
        },
        patch={},
        result={
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            }
        },
    ),
    _spec(
        "what is not the default is cleared",
        DEPLOYMENT,
        last={"strategy": {"type": "RollingUpdate"}},
        desired={"strategy": {"type": "RollingUpdate"}},
        live={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 9}}},
        patch={"strategy": {"$retainKeys": ["type"]}},
        result={"strategy": {"type": "RollingUpdate"}},
    ),
    _pod(
        "a volume of another source",
        last={"volumes": [{"name": "a", "emptyDir": {}}]},
        desired={"volumes": [{"name": "a", "configMap": {"name": "c"}}]},
        live={"volumes": [{"name": "token", "secret": {}}, {"name": "a", "emptyDir": {}}]},
        patch={
            "$setElementOrder/volumes": [{"name": "a"}],
            "volumes": [
                {
                    "$retainKeys": ["configMap", "name"],
                    "name": "a",
                    "configMap": {"name": "c"},
                    "emptyDir": None,
                }
            ],
        },
        result={
            "volumes": [{"name": "token", "secret": {}}, {"name": "a", "configMap": {"name": "c"}}]
        },
    ),
]

KEYED_LISTS = [
    _pod(
        "a container changes, the injected sidecar stays",
        last={"containers": [{"name": "app", "image": "a:1"}]},
        desired={"containers": [{"name": "app", "image": "a:2"}]},
        live={"containers": [{"name": "sidecar"}, {"name": "app", "image": "a:1", "tty": True}]},
        patch={
            "$setElementOrder/containers": [{"name": "app"}],
            "containers": [{"name": "app", "image": "a:2"}],
        },
        result={"containers": [{"name": "sidecar"}, {"name": "app", "image": "a:2", "tty": True}]},
    ),
    _pod(
        "an injected sidecar alone is no difference",
        last={"containers": [{"name": "app"}]},
        desired={"containers": [{"name": "app"}]},
        live={"containers": [{"name": "sidecar"}, {"name": "app"}]},
        patch={},
        result={"containers": [{"name": "sidecar"}, {"name": "app"}]},
    ),
    _pod(
        "a container git dropped goes, a new one comes",
        last={"containers": [{"name": "a"}, {"name": "b"}]},
        desired={"containers": [{"name": "new"}, {"name": "b"}]},
        live={"containers": [{"name": "a"}, {"name": "b"}, {"name": "sidecar"}]},
        patch={
            "$setElementOrder/containers": [{"name": "new"}, {"name": "b"}],
            "containers": [{"name": "new"}, {"name": "a", "$patch": "delete"}],
        },
        result={"containers": [{"name": "sidecar"}, {"name": "new"}, {"name": "b"}]},
    ),
    _pod(
        "order alone",
        last=None,
        desired={"containers": [{"name": "a"}, {"name": "b"}]},
        live={"containers": [{"name": "b"}, {"name": "sidecar"}, {"name": "a"}]},
        patch={"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}]},
        result={"containers": [{"name": "sidecar"}, {"name": "a"}, {"name": "b"}]},
    ),
    _pod(
        "a list git emptied loses only what git had put there",
        last={"initContainers": [{"name": "a"}]},
        desired={"initContainers": []},
        live={"initContainers": [{"name": "a"}, {"name": "mesh"}]},
        patch={"initContainers": [{"name": "a", "$patch": "delete"}]},
        result={"initContainers": [{"name": "mesh"}]},
    ),
    _pod(
        "a list live has empty",
        last=None,
        desired={"initContainers": [{"name": "a"}]},
        live={"initContainers": []},
        patch={
            "$setElementOrder/initContainers": [{"name": "a"}],
            "initContainers": [{"name": "a"}],
        },
        result={"initContainers": [{"name": "a"}]},
    ),
    _pod(
        "a list live has not",
        last=None,
        desired={"initContainers": [{"name": "a"}]},
        live={},
        patch={"initContainers": [{"name": "a"}]},
        result={"initContainers": [{"name": "a"}]},
    ),
    _container(
        "a variable git dropped goes, one a webhook injected stays",
        last={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        desired={"env": [{"name": "A", "value": "1"}]},
        live={"env": [{"name": n, "value": v} for n, v in ("A1", "B2", "X3")]},
        patch={
            "$setElementOrder/env": [{"name": "A"}],
            "env": [{"name": "B", "$patch": "delete"}],
        },
        result={"env": [{"name": "A", "value": "1"}, {"name": "X", "value": "3"}]},
    ),
    _container(
        "a variable that becomes a reference",
        last={"env": [{"name": "A", "value": "1"}]},
        desired={"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}]},
        live={"env": [{"name": "A", "value": "1"}]},
        patch={
            "$setElementOrder/env": [{"name": "A"}],
            "env": [
                {"name": "A", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "p"}}},
            ],
        },
        result={"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}]},
    ),
]

ATOMIC_LISTS = [
    _container(
        "an atomic list is replaced",
        last={"args": ["a"]},
        desired={"args": ["a", "b"]},
        live={"args": ["x", "a"]},
        patch={"args": ["a", "b"]},
        result={"args": ["a", "b"]},
    ),
    _container(
        "an atomic list is emptied",
        last={"args": ["a"]},
        desired={"args": []},
        live={"args": ["a"]},
        patch={"args": []},
        result={"args": []},
    ),
    _pod(
        "an atomic list of maps that differs by a null",
        last=None,
        desired={"tolerations": [{"key": "a", "value": None}]},
        live={"tolerations": [{"key": "a"}]},
        patch={},
        result={"tolerations": [{"key": "a"}]},
    ),
]

SETS = [
    _metadata(
        "a finalizer comes, one goes, one of others stays",
        last={"finalizers": ["a/old"]},
        desired={"finalizers": ["a/new"]},
        live={"finalizers": ["a/old", "b/other"]},
        patch={
            "finalizers": ["a/new"],
            "$deleteFromPrimitiveList/finalizers": ["a/old"],
            "$setElementOrder/finalizers": ["a/new"],
        },
        result={"finalizers": ["a/new", "b/other"]},
    ),
    _metadata(
        "a finalizer only goes",
        last={"finalizers": ["a", "b"]},
        desired={"finalizers": ["a"]},
        live={"finalizers": ["a", "b"]},
        patch={
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "$setElementOrder/finalizers": ["a"],
        },
        result={"finalizers": ["a"]},
    ),
    _metadata(
        "a finalizer of others is no difference",
        last={"finalizers": ["a"]},
        desired={"finalizers": ["a"]},
        live={"finalizers": ["b", "a"]},
        patch={},
        result={"finalizers": ["b", "a"]},
    ),
    _metadata(
        "labels of others stay",
        last={"labels": {"a": "1", "old": "1"}},
        desired={"labels": {"a": "2"}},
        live={"labels": {"a": "1", "old": "1", "theirs": "1"}},
        patch={"labels": {"a": "2", "old": None}},
        result={"labels": {"a": "2", "theirs": "1"}},
    ),
]


def _ports(*ports: tuple[int, str, dict[str, Any]]) -> list[JSONObject]:
    return [
        {"port": port, **({"protocol": protocol} if protocol else {}), **rest}
        for port, protocol, rest in ports
    ]


REPLACE = {"$patch": "replace"}
TCP, UDP = (53, "TCP", {"nodePort": 30001}), (53, "UDP", {"nodePort": 30002})

DUPLICATES = [
    _spec(
        "two ports of one number as the server completed them",
        SERVICE,
        last=None,
        desired={"ports": _ports((53, "", {}), (53, "UDP", {}))},
        live={"ports": _ports(TCP, UDP)},
        patch={},
        result={"ports": _ports(TCP, UDP)},
    ),
    _spec(
        "two ports of one number, one of them changes",
        SERVICE,
        last=None,
        desired={"ports": _ports((53, "", {}), (53, "UDP", {"name": "dns"}))},
        live={"ports": _ports(TCP, UDP)},
        patch={
            "ports": [
                REPLACE,
                *_ports(TCP, (53, "UDP", {"name": "dns", "nodePort": 30002})),
            ]
        },
        result={"ports": _ports(TCP, (53, "UDP", {"name": "dns", "nodePort": 30002}))},
    ),
    _spec(
        "a port of that number is added to one that is there",
        SERVICE,
        last={"ports": _ports((53, "", {}))},
        desired={"ports": _ports((53, "", {}), (53, "UDP", {}))},
        live={"ports": _ports(TCP)},
        patch={"ports": [REPLACE, *_ports(TCP, (53, "UDP", {}))]},
        result={"ports": _ports(TCP, (53, "UDP", {}))},
    ),
    _spec(
        "one of the two goes",
        SERVICE,
        last={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
        desired={"ports": _ports((53, "UDP", {}))},
        live={"ports": _ports(TCP, UDP)},
        patch={"ports": [REPLACE, *_ports(UDP)]},
        result={"ports": _ports(UDP)},
    ),
    _spec(
        "one that git never had stays",
        SERVICE,
        last={"ports": _ports((53, "TCP", {}))},
        desired={"ports": _ports((53, "TCP", {}))},
        live={"ports": _ports(UDP, TCP)},
        patch={},
        result={"ports": _ports(UDP, TCP)},
    ),
    _spec(
        "one that git never had stays when the list has to be sent",
        SERVICE,
        last={"ports": _ports((53, "TCP", {}))},
        desired={"ports": _ports((53, "TCP", {"name": "dns"}))},
        live={"ports": _ports(UDP, TCP, (80, "TCP", {}))},
        patch={
            "ports": [
                REPLACE,
                *_ports((53, "TCP", {"nodePort": 30001, "name": "dns"}), UDP, (80, "TCP", {})),
            ]
        },
        result={
            "ports": _ports((53, "TCP", {"nodePort": 30001, "name": "dns"}), UDP, (80, "TCP", {}))
        },
    ),
    _spec(
        "git's order where the server keeps the two together",
        SERVICE,
        last=None,
        desired={"ports": _ports((53, "TCP", {}), (80, "TCP", {}), (53, "UDP", {}))},
        live={"ports": _ports(TCP, UDP, (80, "TCP", {}))},
        patch={},
        result={"ports": _ports(TCP, UDP, (80, "TCP", {}))},
    ),
    _container(
        "a variable given twice: both stay, the last wins as the kubelet has it",
        last=None,
        desired={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        live={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "9"}]},
        patch={
            "env": [REPLACE, {"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        },
        result={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    ),
    _spec(
        "two ports of one number where live has an empty list",
        SERVICE,
        last=None,
        desired={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
        live={"ports": []},
        patch={"ports": [REPLACE, *_ports((53, "TCP", {}), (53, "UDP", {}))]},
        result={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
    ),
    _spec(
        "two ports of one number where live has none",
        SERVICE,
        last=None,
        desired={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
        live={},
        patch={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
        result={"ports": _ports((53, "TCP", {}), (53, "UDP", {}))},
    ),
]

STRATEGIC_CASES = [
    *SCALARS_AND_MAPS,
    *RETAIN_KEYS,
    *KEYED_LISTS,
    *ATOMIC_LISTS,
    *SETS,
    *DUPLICATES,
]
