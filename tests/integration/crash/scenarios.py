"""What git says, one commit after the other, and what is in the cluster that is not git's.

Objects are dicts without a namespace; a trial puts each into its own, and an address of its own
where it says ``IP``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent.manifest import marks

Object = dict[str, Any]
Address = tuple[str, str]
"""A kind's plural and a name."""

PLURALS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Role": "roles",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def address(obj: Object) -> Address:
    return PLURALS[obj["kind"]], obj["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pass to be killed in: the one that brings the cluster from ``start`` to ``commit``.

    ``start`` is in step before it, by an earlier pass; () is a track that never ran. ``meanwhile``
    is what is committed after the kill and before the restart, None for nothing. ``found`` is in
    the cluster from the beginning and carries no marks. ``recreated`` are objects that git names
    and that are deleted all the same, because their manifests say so.
    """

    name: str
    commit: tuple[Object, ...]
    start: tuple[Object, ...] = ()
    meanwhile: tuple[Object, ...] | None = None
    found: tuple[Object, ...] = ()
    recreated: frozenset[Address] = frozenset()

    @property
    def last(self) -> tuple[Object, ...]:
        """What git says in the end."""
        return self.commit if self.meanwhile is None else self.meanwhile

    @property
    def wanted(self) -> frozenset[Address]:
        """What shall be there in the end, our objects only."""
        return frozenset(map(address, self.last))

    @property
    def may_be_deleted(self) -> frozenset[Address]:
        """What git dropped on the way, and what it wants replaced."""
        once = frozenset(map(address, (*self.start, *self.commit)))
        return (once - self.wanted) | self.recreated


def strangers(*, agent: str, applyset: str, namespace: str) -> tuple[Object, ...]:
    """Return objects that are not the track's, whatever they look like.

    Nobody's; copies of two of the track's objects, marks included; and one of another track.
    """
    ours = {marks.APPLYSET_PART_OF: applyset, marks.AGENT: agent}
    return (
        config_map("bystander", x="1"),
        _marked(config_map("copy"), ours, f"{agent}/shop ConfigMap {namespace}/a"),
        _marked(
            role("copy", "list"),
            ours,
            f"{namespace}/{agent}.shop Role.rbac.authorization.k8s.io {namespace}/reader",
        ),
        _marked(
            role("theirs", "get"),
            {**ours, marks.APPLYSET_PART_OF: "applyset-of-another-track-v1"},
            f"{agent}/other Role.rbac.authorization.k8s.io {namespace}/theirs",
        ),
    )


def _marked(obj: Object, labels: dict[str, str], owner: str) -> Object:
    obj["metadata"] |= {"labels": labels, "annotations": {marks.OWNER: owner}}
    return obj


def config_map(name: str, **data: str) -> Object:
    return _object("v1", "ConfigMap", name, data=data)


def secret(name: str, password: str) -> Object:
    return _object("v1", "Secret", name, stringData={"password": password})


def role(name: str, verb: str) -> Object:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]
    return _object("rbac.authorization.k8s.io/v1", "Role", name, rules=rules)


def service_account(name: str) -> Object:
    return _object("v1", "ServiceAccount", name)


def service(name: str, ip: str) -> Object:
    """Return a Service that is replaced when it cannot be changed in place, as its IP cannot."""
    found = _object("v1", "Service", name, spec={"clusterIP": ip, "ports": [{"port": 80}]})
    found["metadata"]["annotations"] = {"lightkeeper.dev/update-strategy": "recreate"}
    return found


def deployment(name: str) -> Object:
    pod = {"containers": [{"name": "web", "image": "nginx:1.25"}]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", name, spec=spec)


def applied_by_kubectl(obj: Object, **added: str) -> Object:
    """Return a ConfigMap as kubectl apply left it, with data that somebody else added since."""
    annotations = {marks.KUBECTL_LAST_APPLIED: json.dumps(obj)}
    metadata = {**obj["metadata"], "annotations": annotations}
    return {**obj, "metadata": metadata, "data": {**obj["data"], **added}}


def _object(api_version: str, kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


FIRST_APPLY = Scenario(
    "first-apply",
    commit=(
        config_map("a", x="1"),
        config_map("b", x="1"),
        secret("s", "tulip"),
        service_account("robot"),
        role("reader", "get"),
        deployment("web"),
    ),
)

LAST_OF_ITS_KIND = Scenario(
    "last-of-its-kind-is-dropped",
    start=(config_map("a", x="1"), secret("s", "tulip"), role("reader", "get")),
    commit=(config_map("a", x="2"), secret("s", "tulip"), service_account("robot")),
)

GIT_MOVES_ON = Scenario(
    "git-drops-while-down-what-the-killed-pass-made",
    start=(config_map("a", x="1"),),
    commit=(config_map("a", x="1"), config_map("b", x="1"), role("reader", "get")),
    meanwhile=(config_map("a", x="2"),),
)

ADOPTION = Scenario(
    "adoption",
    found=(
        applied_by_kubectl(config_map("a", x="1", gone="1"), z="mine"),
        secret("s", "peony"),
    ),
    commit=(config_map("a", x="2"), secret("s", "tulip"), role("reader", "get")),
)

RECREATE = Scenario(
    "recreate",
    start=(config_map("a", x="1"), service("web", "None")),
    commit=(config_map("a", x="2"), service("web", "IP")),
    recreated=frozenset({("services", "web")}),
)
