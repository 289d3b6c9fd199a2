"""Names of kinds and objects: GroupVersionKind, GroupKind, ObjectKey."""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

JSONObject = dict[str, Any]
"""A Kubernetes object as JSON has it: only dict, list, str, int, float, bool and None."""


class GroupKind(NamedTuple):
    """A kind without its version: identity survives an apiVersion bump (faros.md section 1)."""

    group: str
    kind: str

    def __str__(self) -> str:
        """Return ``Kind.group``, as KEP-3659 and kubectl write it; ``Kind`` for the core group."""
        return _kind(self.group, self.kind)

    @classmethod
    def parse(cls, text: str) -> GroupKind:
        """Read ``Kind.group`` or ``Kind``, the inverse of ``str``."""
        kind, _, group = text.partition(".")
        return cls(group, kind)


class GroupVersionKind(NamedTuple):
    """A kind as an object's apiVersion and kind name it."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, obj: JSONObject) -> GroupVersionKind:
        """Return the kind an object says it is of; parts it does not say are empty."""
        return cls.parse(str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""))

    @classmethod
    def parse(cls, api_version: str, kind: str) -> GroupVersionKind:
        """Split ``apps/v1`` or ``v1`` into group and version."""
        return _parse(api_version, kind)

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_kind(self) -> GroupKind:
        """The kind without its version."""
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """Return ``apps/v1 Deployment``."""
        return f"{self.api_version} {self.kind}"


@lru_cache(maxsize=1024)  # thousands of objects are of a few kinds: one value for all of them
def _parse(api_version: str, kind: str) -> GroupVersionKind:
    group, _, version = api_version.rpartition("/")
    return GroupVersionKind(intern(group), version, intern(kind))


class ObjectKey(NamedTuple):
    """What an object *is*: group kind, namespace ("" when cluster-scoped) and name."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, gvk: GroupVersionKind, *, namespace: str, name: str) -> ObjectKey:
        """Return the key of an object of this kind, made of strings that all keys share.

        Keys are kept by the ten thousand, for git's objects and for the cluster's.
        """
        return cls(gvk.group, gvk.kind, intern(namespace), intern(name))

    @property
    def group_kind(self) -> GroupKind:
        """The kind without its version."""
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """Return ``Deployment.apps shop/web``; ``Namespace shop`` for a cluster-scoped object."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{_kind(self.group, self.kind)} {where}"


def _kind(group: str, kind: str) -> str:
    return f"{kind}.{group}" if group else kind
