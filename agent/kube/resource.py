"""Resource: what discovery knows of one kind, and the paths of its objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from agent.manifest.keys import GroupKind, GroupVersionKind


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as one group version serves it (metav1.APIResource).

    ``has_status`` tells whether status is a subresource, i.e. ignored in writes of the object.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]
    has_status: bool
    short_names: tuple[str, ...] = field(default=(), compare=False)

    def is_called(self, text: str) -> bool:
        """Tell whether a person may mean this kind: as kubectl takes it, in any case of letters.

        Kind, its plural or a short name; with ``.group`` or ``.version.group`` to be exact.
        """
        name, dot, rest = text.lower().partition(".")
        if name not in (self.kind.lower(), self.plural, *self.short_names):
            return False
        return not dot or rest in (self.group, f"{self.version}.{self.group}".rstrip("."))

    @property
    def gvk(self) -> GroupVersionKind:
        """Group, version and kind."""
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def group_kind(self) -> GroupKind:
        """Group and kind, without the version."""
        return GroupKind(self.group, self.kind)

    def path(self, *, namespace: str = "", name: str = "") -> str:
        """Return the URL path of a collection or, with ``name``, of one object.

        Without ``namespace`` the collection of a namespaced kind spans all namespaces.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)

    def __str__(self) -> str:
        """Return ``deployments.apps/v1``, the form of ``ignore-resources``."""
        return f"{self.plural}.{self.group}/{self.version}"
