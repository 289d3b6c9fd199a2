"""Inventory: one ConfigMap a track, the parent of its ApplySet (KEP-3659), no CRD needed.

It says in which kinds and namespaces the track may have objects; the objects themselves carry the
label. It is widened before an apply and narrowed after a prune, so a crash in between leaves at
worst a kind too many to look at. The ConfigMap also carries the track's status.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import msgspec

from agent import __version__
from agent.apply.signals import APPROVED, REQUESTED, SUSPENDED, Signals
from agent.kube.client import Client
from agent.kube.errors import Conflict, NotFound
from agent.kube.eventseries import ObjectReference
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.keys import GroupKind, JSONObject
from agent.plan.errors import PlanError
from agent.plan.ownership import Owner, applyset_id

ID_LABEL = "applyset.kubernetes.io/id"
TOOLING = "applyset.kubernetes.io/tooling"
KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"

CONFIG_MAPS = Resource(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    namespaced=True,
    verbs=frozenset({"get", "create", "patch"}),
    has_status=False,
)
_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Contents:
    """What the ConfigMap says. ``resource_version`` is "" while it does not exist."""

    kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()
    signals: Signals = field(default_factory=Signals)
    data: dict[str, str] = field(default_factory=dict)
    resource_version: str = ""


class Inventory:
    """The ConfigMap of one track. Not concurrent: a track's pass is its only writer."""

    def __init__(self, client: Client, *, agent: str, track: str, namespace: str) -> None:
        # Agent and track names have no dots, so the pair reads back without ambiguity.
        self.name = f"{agent}.{track}"
        self.namespace = namespace
        self.owner = Owner(
            agent=agent,
            track=track,
            namespace=namespace,
            applyset=applyset_id(name=self.name, namespace=namespace),
        )
        self._client = client
        self._known: Contents | None = None
        self._uid = ""

    @property
    def reference(self) -> ObjectReference | None:
        """The ConfigMap as Events name it; None while it is not known to exist."""
        if not self._uid:
            return None
        return ObjectReference("v1", "ConfigMap", self.namespace, self.name, self._uid)

    async def read(self) -> Contents:
        """Read the ConfigMap; empty contents when there is none yet.

        Raises PlanError when somebody else's ConfigMap has our name, KubeError when the server
        cannot be asked.
        """
        try:
            live = await self._client.get(CONFIG_MAPS, namespace=self.namespace, name=self.name)
        except NotFound:
            self._uid = ""
            self._known = Contents()
            return self._known
        self._known = self._parse(live)
        return self._known

    async def widen(self, *, kinds: Collection[GroupKind], namespaces: Collection[str]) -> Contents:
        """Add kinds and namespaces; no request when they are all there."""
        return await self._change(
            lambda known: replace(
                known,
                kinds=known.kinds | frozenset(kinds),
                namespaces=known.namespaces | self._additional(namespaces),
            )
        )

    async def settle(
        self,
        *,
        kinds: Collection[GroupKind] | None,
        namespaces: Collection[str] | None,
        data: dict[str, str],
    ) -> Contents:
        """Set exactly these kinds, namespaces (None: as they are) and data.

        No request when nothing differs.
        """

        def settled(known: Contents) -> Contents:
            if kinds is None or namespaces is None:
                return replace(known, data=data)
            return replace(
                known,
                kinds=frozenset(kinds),
                namespaces=self._additional(namespaces),
                data=data,
            )

        return await self._change(settled)

    async def approve(self, digest: str) -> None:
        """Write down that a person approves the held plan of this digest. Raises KubeError.

        For the command line; unlike the rest it does not mind the agent's writes in between: an
        approval that comes too late names a plan that is not held any more.
        """
        await self._annotate(APPROVED, digest)

    async def suspend(self, since: str) -> None:
        """Write down that the track stands still; ``since`` says since when and by whom.

        Makes the ConfigMap where there is none yet. Raises PlanError, KubeError.
        """
        if (await self.read()).resource_version:
            await self._annotate(SUSPENDED, since)
            return
        body = self._render(Contents())
        body["metadata"]["annotations"][SUSPENDED] = since
        await self._client.create(CONFIG_MAPS, body, namespace=self.namespace)

    async def resume(self) -> None:
        """Take a suspension back. Raises KubeError."""
        await self._annotate(SUSPENDED, None)

    async def request(self, token: str) -> None:
        """Ask for a pass now; the status answers with ``token``. Raises KubeError."""
        await self._annotate(REQUESTED, token)

    async def remove(self) -> None:
        """Delete the ConfigMap that was read last. Raises Conflict when it changed, KubeError."""
        known = self._known
        if known is None or not known.resource_version:
            return
        await self._client.delete(
            CONFIG_MAPS,
            namespace=self.namespace,
            name=self.name,
            uid=self._uid,
            resource_version=known.resource_version,
        )
        self._known = Contents()

    async def _annotate(self, name: str, value: str | None) -> None:
        await self._client.patch(
            CONFIG_MAPS,
            {"metadata": {"annotations": {name: value}}},
            namespace=self.namespace,
            name=self.name,
            content_type=_MERGE_PATCH,
        )

    def _additional(self, namespaces: Collection[str]) -> frozenset[str]:
        return frozenset(namespaces) - {"", self.namespace}

    async def _change(self, change: Callable[[Contents], Contents]) -> Contents:
        """Write what ``change`` makes of the contents; no request when that is the same.

        Somebody may write in between (an approval): it is then read and changed again.
        """
        known = self._known or await self.read()
        for last in (False, True):
            wanted = change(known)
            if known.resource_version and wanted == known:
                return known
            try:
                return await self._write(known, wanted)
            except Conflict:
                if last:
                    raise
            known = await self.read()
        raise PlanError(f"{self.owner}: the inventory changes all the time")

    async def _write(self, known: Contents, wanted: Contents) -> Contents:
        if self._client.dry_run:  # the namespace may not be there, and the answer says nothing new
            self._known = wanted
            return wanted
        body = self._render(wanted)
        # Whatever comes of the write, what is known is no longer certain.
        self._known = None
        if not known.resource_version:
            live = await self._client.create(CONFIG_MAPS, body, namespace=self.namespace)
        else:
            body["metadata"]["resourceVersion"] = known.resource_version
            live = await self._client.patch(
                CONFIG_MAPS,
                body,
                namespace=self.namespace,
                name=self.name,
                content_type=_MERGE_PATCH,
            )
        self._known = self._parse(live)
        return self._known

    def _render(self, wanted: Contents) -> JSONObject:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {ID_LABEL: self.owner.applyset, marks.AGENT: self.owner.agent},
                "annotations": {
                    TOOLING: f"lightkeeper/v{__version__}",
                    KINDS: ",".join(sorted(map(str, wanted.kinds))),
                    NAMESPACES: ",".join(sorted(wanted.namespaces)),
                },
            },
            "data": wanted.data,
        }

    def _parse(self, live: JSONObject) -> Contents:
        metadata = live["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(ID_LABEL) != self.owner.applyset:
            raise PlanError(
                f"ConfigMap {self.namespace}/{self.name} exists and is not the inventory of track "
                f"{self.owner} (label {ID_LABEL} is {labels.get(ID_LABEL)!r}); rename the track "
                "or the agent, or remove that ConfigMap"
            )
        self._uid = str(metadata["uid"])
        annotations = metadata.get("annotations") or {}
        return Contents(
            kinds=frozenset(map(GroupKind.parse, _split(annotations.get(KINDS)))),
            namespaces=frozenset(_split(annotations.get(NAMESPACES))),
            signals=Signals.of(live),
            data=dict(live.get("data") or {}),
            resource_version=str(metadata["resourceVersion"]),
        )


async def tracks_in(client: Client, *, agent: str, namespace: str) -> list[str]:
    """Return the names of an agent's tracks that have an inventory. Raises KubeError."""
    names: list[str] = []
    cont = ""
    while True:
        page = await client.list_page(
            CONFIG_MAPS,
            namespace=namespace,
            selector=f"{marks.AGENT}={agent},{ID_LABEL}",
            cont=cont,
        )
        for raw in page.items or []:
            name = str(msgspec.json.decode(raw)["metadata"]["name"])
            if name.startswith(f"{agent}."):
                names.append(name.removeprefix(f"{agent}."))
        cont = page.metadata.cont
        if not cont:
            return names


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]
