"""Hypothesis strategies for objects of which three versions overlap: few names, few values.

Three independent draws stand for last-applied, desired and live.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from agent.manifest.keys import GroupVersionKind, JSONObject

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
WIDGET = GroupVersionKind("example.com", "v1", "Widget")

_WORDS = st.sampled_from(["a", "b", "c"])
_NUMBERS = st.sampled_from([0, 1, 2**53 + 1])
_MAPS = st.dictionaries(_WORDS, _WORDS, max_size=3)


def _optional(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[JSONObject]:
    return st.fixed_dictionaries(required, optional=optional)


def _named(
    key: str, names: st.SearchStrategy[Any], optional: dict[str, Any]
) -> st.SearchStrategy[list[JSONObject]]:
    """Lists of maps with a unique merge key."""
    item = _optional({key: names}, optional)
    return st.lists(item, max_size=3, unique_by=lambda entry: entry[key])


def _volumes() -> st.SearchStrategy[list[JSONObject]]:
    sources = st.sampled_from(
        [{}, {"emptyDir": {}}, {"emptyDir": {"medium": "Memory"}}, {"secret": {"secretName": "s"}}]
    )
    one = st.builds(lambda name, source: {"name": name, **source}, _WORDS, sources)
    return st.lists(one, max_size=3, unique_by=lambda entry: entry["name"])


def ports(*, ambiguous: bool) -> st.SearchStrategy[list[JSONObject]]:
    """Container ports; ambiguous ones share numbers, and even number and protocol."""
    port = _optional(
        {"containerPort": st.sampled_from([53, 80, 443])},
        {"protocol": st.sampled_from(["TCP", "UDP"]), "name": _WORDS},
    )
    if ambiguous:
        return st.lists(port, max_size=4)
    return st.lists(port, max_size=3, unique_by=lambda entry: entry["containerPort"])


def _containers(*, ambiguous: bool) -> st.SearchStrategy[list[JSONObject]]:
    return _named(
        "name",
        _WORDS,
        {
            "image": _WORDS,
            "args": st.lists(_WORDS, max_size=2),
            "env": _named("name", _WORDS, {"value": _WORDS}),
            "ports": ports(ambiguous=ambiguous),
            "volumeMounts": _named("mountPath", st.sampled_from(["/a", "/b"]), {"name": _WORDS}),
            "resources": st.dictionaries(st.sampled_from(["limits", "requests"]), _MAPS),
        },
    )


def _strategies() -> st.SearchStrategy[JSONObject]:
    return st.sampled_from(
        [
            {},
            {"type": "Recreate"},
            {"type": "RollingUpdate"},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
        ]
    )


def deployments(*, ambiguous: bool = False) -> st.SearchStrategy[JSONObject]:
    """Deployments that use every way a field can merge."""
    pod = _optional(
        {},
        {
            "containers": _containers(ambiguous=ambiguous),
            "volumes": _volumes(),
            "nodeSelector": _MAPS,
            "tolerations": st.lists(_optional({}, {"key": _WORDS}), max_size=2),
        },
    )
    metadata = _optional(
        {"name": st.just("web")},
        {
            "labels": _MAPS,
            "annotations": _MAPS,
            "finalizers": st.lists(_WORDS, max_size=3, unique=True),
        },
    )
    spec = _optional(
        {},
        {
            "replicas": _NUMBERS,
            "strategy": _strategies(),
            "template": _optional({}, {"spec": pod}),
        },
    )
    return _object(DEPLOYMENT, metadata, spec)


def widgets() -> st.SearchStrategy[JSONObject]:
    """Custom resources: any JSON below spec, without nulls."""
    leaves = _WORDS | _NUMBERS | st.booleans() | st.just(1.5)
    anything = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=3),
        max_leaves=8,
    )
    spec = st.dictionaries(_WORDS, anything, max_size=3)
    return _object(WIDGET, st.just({"name": "web"}), spec)


def _object(
    gvk: GroupVersionKind,
    metadata: st.SearchStrategy[JSONObject],
    spec: st.SearchStrategy[JSONObject],
) -> st.SearchStrategy[JSONObject]:
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just(gvk.api_version),
            "kind": st.just(gvk.kind),
            "metadata": metadata,
            "spec": spec,
        }
    )
