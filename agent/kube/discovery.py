"""Which kinds the server has: aggregated discovery where there is one, classic elsewhere.

Classic discovery (before 1.27) is one request a group version, so only the group versions that are
asked for are read. A kind that is missing is asked for again, at most every ``RETRY_MISS``
seconds a group version, so a CRD and its custom resources in one commit converge in one pass
(faros.md section 7 tells what happens otherwise).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.aio.locks import KeyedLocks
from agent.kube.client import Client
from agent.kube.errors import KubeError, NotFound
from agent.kube.resource import Resource
from agent.manifest.keys import GroupKind, GroupVersionKind, JSONObject

RETRY_MISS = 2.0  # seconds between two questions for the same missing kind

_AGGREGATED = ",".join(
    (
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    )
)

GroupVersion = tuple[str, str]


@dataclass(slots=True)
class _Known:
    """What has been read; replaced as a whole when everything is read again."""

    versions: dict[str, list[str]] = field(default_factory=dict)  # group -> versions, best first
    resources: dict[GroupVersionKind, Resource] = field(default_factory=dict)
    read_at: dict[GroupVersion, float] = field(default_factory=dict)
    failures: dict[GroupVersion, KubeError] = field(default_factory=dict)


class Discovery:
    """Kind -> Resource, read lazily and again on a miss."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: _Known | None = None
        self._lock = asyncio.Lock()
        self._reading: KeyedLocks[GroupVersion] = KeyedLocks()

    async def resolve(self, gvk: GroupVersionKind) -> Resource | None:
        """Return how the server serves exactly this kind, or None when it does not.

        Raises KubeError when the server cannot be asked.
        """
        known = await self._loaded()
        if (resource := known.resources.get(gvk)) is not None:
            return resource
        async with self._reading.hold((gvk.group, gvk.version)):
            await self._read_group_version(known, (gvk.group, gvk.version))
        return known.resources.get(gvk)

    def known(self, gvk: GroupVersionKind) -> Resource | None:
        """Return how the server serves a kind if that has been read; asks nobody."""
        return self._known.resources.get(gvk) if self._known else None

    async def preferred(self, group_kind: GroupKind) -> Resource | None:
        """Return the kind in the best version that has it, or None.

        The order is the server's own: its preferred version first.
        """
        known = await self._loaded()
        for version in list(known.versions.get(group_kind.group, [])):
            found = await self.resolve(GroupVersionKind(group_kind.group, version, group_kind.kind))
            if found is not None:
                return found
        return None

    async def named(self, text: str) -> list[Resource]:
        """Return the kinds a person may mean by this, likeliest first, each in its best version.

        Groups that cannot be asked now are left out. See ``Resource.is_called``.
        """
        known = await self._loaded()
        wanted = [(group, version) for group, vs in known.versions.items() for version in vs]
        await asyncio.gather(*(self._try_to_read(known, gv) for gv in wanted))
        order = {group_version: number for number, group_version in enumerate(wanted)}
        found: dict[GroupKind, Resource] = {}
        for resource in sorted(
            known.resources.values(), key=lambda r: order.get((r.group, r.version), len(order))
        ):
            if resource.is_called(text):
                found.setdefault(resource.group_kind, resource)
        return list(found.values())

    def forget(self, group: str) -> None:
        """Ask for this group again at the next question: a CRD of it came, went or changed."""
        if self._known is None:
            return
        for gvk in [gvk for gvk in self._known.resources if gvk.group == group]:
            del self._known.resources[gvk]
        for group_version in [gv for gv in self._known.read_at if gv[0] == group]:
            del self._known.read_at[group_version]

    async def refresh(self) -> None:
        """Read the groups again; kinds are asked for anew when they are missed."""
        async with self._lock:
            self._known = await self._load()

    async def _loaded(self) -> _Known:
        if self._known is None:
            async with self._lock:
                if self._known is None:
                    self._known = await self._load()
        return self._known

    async def _load(self) -> _Known:
        core, groups = await asyncio.gather(
            self._client.raw("/api", accept=_AGGREGATED),
            self._client.raw("/apis", accept=_AGGREGATED),
        )
        known = _Known()
        for answer in (core, groups):
            if answer.get("kind") == "APIGroupDiscoveryList":
                _read_aggregated(known, answer)
            else:
                known.versions.update(_classic_groups(answer))
        return known

    async def _try_to_read(self, known: _Known, wanted: GroupVersion) -> None:
        if any((gvk.group, gvk.version) == wanted for gvk in known.resources):
            return
        with contextlib.suppress(KubeError):
            async with self._reading.hold(wanted):
                await self._read_group_version(known, wanted)

    async def _read_group_version(self, known: _Known, wanted: GroupVersion) -> None:
        group, version = wanted
        if time.monotonic() - known.read_at.get(wanted, float("-inf")) < RETRY_MISS:
            if (failure := known.failures.get(wanted)) is not None:
                raise failure  # one question for all objects of a group that hangs
            return
        known.failures.pop(wanted, None)
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            answer = await self._client.raw(path)
        except NotFound:
            known.read_at[wanted] = time.monotonic()
            return
        except KubeError as error:
            known.read_at[wanted] = time.monotonic()
            known.failures[wanted] = error
            raise
        if version not in known.versions.setdefault(group, []):
            known.versions[group].append(version)
        for resource in _classic_resources(group, version, answer):
            known.resources[resource.gvk] = resource
        known.read_at[wanted] = time.monotonic()


def _classic_groups(answer: JSONObject) -> dict[str, list[str]]:
    """Read APIVersions (``/api``) or APIGroupList (``/apis``)."""
    if answer.get("kind") == "APIVersions":
        return {"": [str(version) for version in answer.get("versions") or []]}
    return {str(group["name"]): _preferred_first(group) for group in answer.get("groups") or []}


def _preferred_first(group: JSONObject) -> list[str]:
    versions = [str(entry["version"]) for entry in group.get("versions") or []]
    best = str((group.get("preferredVersion") or {}).get("version") or "")
    return sorted(versions, key=lambda version: version != best)  # stable: keeps the server's order


def _classic_resources(group: str, version: str, answer: JSONObject) -> Iterable[Resource]:
    """Read an APIResourceList; subresources are entries named ``plural/subresource``."""
    entries = answer.get("resources") or []
    with_status = {str(entry["name"]) for entry in entries if "/status" in str(entry["name"])}
    for entry in entries:
        plural = str(entry["name"])
        if "/" in plural:
            continue
        yield Resource(
            group=group,
            version=version,
            kind=str(entry["kind"]),
            plural=plural,
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
            has_status=f"{plural}/status" in with_status,
            short_names=tuple(map(str, entry.get("shortNames") or ())),
        )


def _read_aggregated(known: _Known, answer: JSONObject) -> None:
    """Read an APIGroupDiscoveryList (KEP-3352): every group, version and resource at once."""
    for item in answer.get("items") or []:
        group = str((item.get("metadata") or {}).get("name") or "")
        for entry in item.get("versions") or []:
            version = str(entry["version"])
            known.versions.setdefault(group, []).append(version)
            for resource in entry.get("resources") or []:
                parsed = _aggregated_resource(group, version, resource)
                known.resources[parsed.gvk] = parsed


def _aggregated_resource(group: str, version: str, entry: dict[str, Any]) -> Resource:
    kind = entry.get("responseKind") or {}
    subresources = entry.get("subresources") or []
    return Resource(
        group=group,
        version=version,
        kind=str(kind.get("kind") or ""),
        plural=str(entry["resource"]),
        namespaced=entry.get("scope") == "Namespaced",
        verbs=frozenset(entry.get("verbs") or ()),
        has_status=any(sub.get("subresource") == "status" for sub in subresources),
        short_names=tuple(map(str, entry.get("shortNames") or ())),
    )
