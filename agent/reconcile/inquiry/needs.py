"""Which kinds an agent manages: those in its repositories now, and those it has applied before.

Asks repositories and server, writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from agent.apply.inventory import Inventory
from agent.config.model import Track as TrackConfig
from agent.kube.client import Client
from agent.kube.resource import Resource
from agent.manifest.keys import GroupKind, GroupVersionKind
from agent.manifest.model import Manifest
from agent.plan import ordering
from agent.plan.decide import Policy, reason_to_ignore
from agent.plan.merge.values import as_map
from agent.plan.rights import Need
from agent.plan.strategy import ANNOTATIONS, UpdateStrategy
from agent.reconcile.inquiry.rehearsal import Rehearser
from agent.reconcile.inquiry.why import UnknownKind


@dataclass(frozen=True, slots=True)
class Found:
    """The kinds, and what could not be found out, a line each."""

    needs: tuple[Need, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Looks through all tracks of a configuration."""

    client: Client
    rehearser: Rehearser
    agent: str
    state_namespace: str

    async def survey(self, tracks: Iterable[TrackConfig], *, more: Collection[str] = ()) -> Found:
        """Return what the tracks need; ``more`` are kinds as a person names them.

        Raises UnknownKind for one of those that the server does not have, SourceError, KubeError.
        """
        needs: list[Need] = []
        problems: list[str] = []
        for track in tracks:
            content = await self.rehearser.content(track)
            if content.snapshot.error:
                problems.append(f"track {track.name}: {content.snapshot.error}")
            manifests = content.collected.manifests
            problems += [f"track {track.name}: {error}" for error in content.collected.errors]
            needs += await self._of_manifests(track, manifests, problems)
            needs += await self._applied_before(track)
        for text in more:
            found = await self.rehearser.discovery.named(text)
            if not found:
                raise UnknownKind(
                    f"--kinds: the server has no kind {text!r}; kubectl api-resources lists them"
                )
            needs.append(Need(found[0].group, found[0].plural, deletes=True))
        return Found(tuple(needs), tuple(dict.fromkeys(problems)))

    async def _of_manifests(
        self, track: TrackConfig, manifests: Collection[Manifest], problems: list[str]
    ) -> list[Need]:
        needs = []
        policy = self.rehearser.builder.policy(track)
        to_come = dict(_to_come(manifests))
        for gvk in sorted({manifest.gvk for manifest in manifests}):
            own = [manifest for manifest in manifests if manifest.gvk == gvk]
            resource = to_come.get(gvk.group_kind) or await self._resolve(gvk)
            if resource is None:
                problems.append(
                    f"{own[0].origin}: the server has no {gvk}, and no CRD in git makes it; "
                    "install that, or name the kind's rights yourself"
                )
            elif managed := [m for m in own if not _ignored(m, resource, policy)]:
                deletes = track.prune or any(map(_recreates, managed))
                needs.append(Need(resource.group, resource.plural, deletes))
        return needs

    async def _applied_before(self, track: TrackConfig) -> list[Need]:
        """Return the kinds of the inventory: what git drops is looked for in them."""
        inventory = Inventory(
            self.client, agent=self.agent, track=track.name, namespace=self.state_namespace
        )
        found = [
            await self.rehearser.discovery.preferred(kind)
            for kind in sorted((await inventory.read()).kinds)
        ]
        return [Need(r.group, r.plural, track.prune) for r in found if r is not None]

    async def _resolve(self, gvk: GroupVersionKind) -> Resource | None:
        return await self.rehearser.discovery.resolve(gvk)


def _to_come(manifests: Iterable[Manifest]) -> Iterator[tuple[GroupKind, Resource]]:
    """Return the kinds that CRDs in git make, in the version that is not asked for."""
    for manifest in manifests:
        if manifest.key.group_kind != ordering.CUSTOM_RESOURCE_DEFINITION:
            continue
        spec = as_map(manifest.object().get("spec"))
        names = as_map(spec.get("names"))
        kind = GroupKind(str(spec.get("group") or ""), str(names.get("kind") or ""))
        yield (
            kind,
            Resource(
                group=kind.group,
                version="",
                kind=kind.kind,
                plural=str(names.get("plural") or ""),
                namespaced=spec.get("scope") != "Cluster",
                verbs=frozenset(),
                has_status=False,
            ),
        )


def _ignored(manifest: Manifest, resource: Resource, policy: Policy) -> str:
    return reason_to_ignore(
        resource=(resource.plural, resource.group, manifest.gvk.version),
        namespaced=resource.namespaced,
        namespace=manifest.key.namespace,
        policy=policy,
    )


def _recreates(manifest: Manifest) -> bool:
    annotations = manifest.object()["metadata"].get("annotations") or {}
    return UpdateStrategy.RECREATE in {annotations.get(name) for name in ANNOTATIONS}
