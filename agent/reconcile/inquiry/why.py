"""Why an object is as it is: who owns it, where git has it, what differs and who wrote that.

Asks the server and the repositories, by a rehearsal; writes nothing. Values of Secrets are masked
here, so that whoever shows an answer cannot forget it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from agent.apply.inventory import Inventory
from agent.config.model import Track as TrackConfig
from agent.errors import AgentError
from agent.kube.client import Client
from agent.kube.errors import NotFound
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.keys import JSONObject, ObjectKey
from agent.manifest.model import Manifest
from agent.manifest.redact import MASK
from agent.plan import foreign, ignorefields
from agent.plan.change import Action
from agent.plan.differences import differing, value_at
from agent.plan.fights import Writer, writer_of
from agent.plan.merge import lookup
from agent.plan.merge.normalise import is_secret
from agent.plan.ownership import owner_of
from agent.plan.strategy import UpdateStrategy, strategy_of
from agent.reconcile.inquiry.rehearsal import Change, Content, Rehearser
from agent.reconcile.reports import status
from agent.reconcile.reports.status import TrackStatus
from agent.source.snapshot import Revision

_SHOWN = 80  # characters of a value


class UnknownKind(AgentError):
    """The server has no kind of that name."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Field:
    """A field that differs: its values as JSON, cut when long, "" where there is none."""

    pointer: str
    git: str
    live: str
    writer: Writer | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in git an object is written, and what is known of the track it belongs to."""

    track: TrackConfig
    status: TrackStatus
    revision: Revision | None
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of an object.

    ``verdict`` sums it up in a line. ``managed`` tells whether a track of this agent keeps it as
    git says, ``in_sync`` whether it is so now, None where that does not matter. ``owner`` is what
    its marks say. ``left_to_others`` are the fields that ``ignore-fields`` names.
    """

    key: ObjectKey
    exists: bool
    managed: bool
    in_sync: bool | None
    verdict: str
    owner: str = ""
    place: Place | None = None
    fields: tuple[Field, ...] = ()
    left_to_others: tuple[str, ...] = ()
    retry: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Asks about single objects. ``inventory`` gives the inventory of a track by its name."""

    client: Client
    rehearser: Rehearser
    tracks: tuple[TrackConfig, ...]
    agent: str
    state_namespace: str

    async def why(self, kind: str, name: str, *, namespace: str) -> Answer:
        """Answer for the object of this kind, as a person names it, "" for any namespace.

        Raises UnknownKind, SourceError, KubeError.
        """
        resource = await self._resource(kind)
        key = ObjectKey(
            resource.group,
            resource.kind,
            (namespace or "default") if resource.namespaced else "",
            name,
        )
        live = await self._live(resource, key)
        owner = owner_of(live, key=key) if live else ""
        notes: list[str] = []
        anywhere = resource.namespaced and not namespace and live is None
        for track in self._by_likelihood(owner):
            stored = await self._status(track.name)
            content = await self.rehearser.content(track, commit=stored.commit)
            notes += _notes(track, stored, content)
            manifest = _find(content.collected.manifests, key, anywhere=anywhere)
            if manifest is None:
                continue
            if anywhere:
                key = key._replace(namespace=manifest.key.namespace)
                live = await self._live(resource, key)
                owner = owner_of(live, key=key) if live else ""
            place = Place(track, stored, content.snapshot.revision, str(manifest.origin))
            change = await self.rehearser.object(track, manifest)
            answer = self._judge(resource, live, manifest, change, place)
            return replace(answer, key=key, owner=owner, notes=tuple(notes))
        stored = await self._status(owner.rpartition(".")[2]) if owner else _NO_STATUS
        verdict = _not_in_git(key, live, owner=owner, ours=self._is_ours(owner), stored=stored)
        return Answer(key, live is not None, False, None, verdict, owner, notes=tuple(notes))

    def _judge(
        self,
        resource: Resource,
        live: JSONObject | None,
        manifest: Manifest,
        change: Change,
        place: Place,
    ) -> Answer:
        outcome = change.outcome
        ignored = outcome.action is Action.IGNORE
        fields = _fields(change, resource) if outcome.action is Action.UPDATE else ()
        found = Answer(
            key=outcome.key,
            exists=live is not None,
            managed=not ignored,
            in_sync=None if ignored else outcome.action is Action.UNCHANGED and not outcome.error,
            verdict=_verdict(change, manifest, place, fields),
            place=place,
            fields=fields,
            left_to_others=tuple(
                map(str, ignorefields.pointers_for(place.track.ignore_fields, outcome.key))
            ),
            retry=_retry(change, place),
        )
        return found

    async def _resource(self, kind: str) -> Resource:
        found = await self.rehearser.discovery.named(kind)
        if not found:
            raise UnknownKind(
                f"the server has no kind {kind!r}; kubectl api-resources lists what it has"
            )
        return found[0]

    async def _live(self, resource: Resource, key: ObjectKey) -> JSONObject | None:
        try:
            live = await self.client.get(resource, namespace=key.namespace, name=key.name)
        except NotFound:
            return None
        return {"apiVersion": resource.gvk.api_version, "kind": resource.kind, **live}

    async def _status(self, track: str) -> TrackStatus:
        inventory = Inventory(
            self.client, agent=self.agent, track=track, namespace=self.state_namespace
        )
        return status.read((await inventory.read()).data) or _NO_STATUS

    def _is_ours(self, owner: str) -> bool:
        return owner.startswith(f"{self.state_namespace}/{self.agent}.")

    def _by_likelihood(self, owner: str) -> list[TrackConfig]:
        """Return the tracks, the owning one first."""
        names = f"{self.state_namespace}/{self.agent}."
        return sorted(self.tracks, key=lambda track: f"{names}{track.name}" != owner)


_NO_STATUS = TrackStatus(track="", repository="")


def _find(manifests: Iterable[Manifest], key: ObjectKey, *, anywhere: bool) -> Manifest | None:
    """Find the manifest of an object; a cluster-scoped one may have a namespace in git."""
    for manifest in manifests:
        same = manifest.key.group_kind == key.group_kind and manifest.key.name == key.name
        if same and (anywhere or not key.namespace or manifest.key.namespace == key.namespace):
            return manifest
    return None


def _notes(track: TrackConfig, stored: TrackStatus, content: Content) -> list[str]:
    snapshot = content.snapshot
    notes = [f"track {track.name}: {snapshot.error}"] if snapshot.error else []
    commit = snapshot.revision.commit if snapshot.revision else ""
    if stored.commit and commit and commit != stored.commit:
        notes.append(
            f"track {track.name}: the agent is at {stored.commit[:12]}, which cannot be read any "
            f"more; this is {commit[:12]}"
        )
    if stored.suspended or track.suspend:
        by = stored.suspended or "the configuration (suspend = true)"
        notes.append(f"track {track.name} is suspended: {by}")
    return notes


def _verdict(change: Change, manifest: Manifest, place: Place, fields: tuple[Field, ...]) -> str:
    outcome, track = change.outcome, place.track.name
    if outcome.error:
        return f"track {track} fails to apply it: {outcome.error}"
    if outcome.action is Action.IGNORE:
        return f"track {track} has it in git and leaves it alone: {outcome.reason}"
    if outcome.action is Action.CREATE:
        return f"track {track} has it in git, and it is not in the cluster"
    if outcome.action is Action.RECREATE:
        return f"differs from git of track {track} in what only recreating it can change"
    if strategy_of(manifest.object()) is UpdateStrategy.NEVER:
        return f"managed by track {track}, which never updates it (update-strategy: never)"
    if outcome.action is Action.UPDATE:
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        what = f"differs from git in {count}" if fields else "lacks marks or a record of this agent"
        return f"managed by track {track}, and {what}"
    note = f"; {outcome.reason}" if outcome.reason else ""
    return f"managed by track {track}, and as git says{note}"


def _not_in_git(
    key: ObjectKey, live: JSONObject | None, *, owner: str, ours: bool, stored: TrackStatus
) -> str:
    if live is None:
        return "is not in the cluster, and no track has it in git"
    track = owner.rpartition(".")[2]
    if ours and str(key) in stored.held_objects:
        return f"track {track} has dropped it from git; its deletion is held: {stored.held}"
    if ours and not stored.suspended:
        return f"belongs to track {track}, whose git does not have it (any more)"
    if owner:
        return f"is owned by track {owner}, and no track of this configuration has it in git"
    bare: JSONObject = {"metadata": {}}
    if tool := foreign.manager_of(live, desired=bare, applyset=""):
        return f"is managed by {tool}, and no track has it in git"
    return "is not managed: no track has it in git, and it carries no marks"


def _retry(change: Change, place: Place) -> str:
    until = place.status.retries.get(str(change.outcome.key), "")
    if until:
        return f"left alone until {until}"
    if change.outcome.error:
        return "tried again with growing pauses, at the latest at the next poll"
    return ""


def _fields(change: Change, resource: Resource) -> tuple[Field, ...]:
    preview = change.preview
    if preview is None or preview.before is None or preview.after is None:
        return ()
    before, after = preview.before, preview.after
    secret = is_secret({"apiVersion": resource.gvk.api_version, "kind": resource.kind})
    found = differing(before, after, schema=lookup(resource.gvk), has_status=resource.has_status)
    return tuple(
        Field(
            pointer,
            _text(value_at(after, pointer), pointer, secret=secret),
            _text(value_at(before, pointer), pointer, secret=secret),
            writer_of(before, pointer),
        )
        for pointer in found
        if not _is_mark(pointer)
    )


def _is_mark(pointer: str) -> bool:
    section, _, name = pointer.removeprefix("/metadata/").partition("/")
    ours = {"labels": marks.MARK_LABELS, "annotations": marks.MARK_ANNOTATIONS}.get(section, ())
    return name.replace("~1", "/").replace("~0", "~") in ours


def _text(value: Any, pointer: str, *, secret: bool) -> str:
    if value is None:
        return ""
    if secret and pointer.split("/")[1] in ("data", "stringData"):
        return MASK
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
