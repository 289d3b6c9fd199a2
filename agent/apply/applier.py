"""Make one live object what git says: create it, or merge and patch after a server dry-run.

Every failure is a value (Outcome.error): one bad object is not a failed pass. Nothing here
deletes, except where a manifest asks for the update strategy ``recreate``.

A dry-run is a rehearsal: it tells whether the server takes a manifest that it has never seen on
this object, and whether anything would change at all (faros.md 9.5). A *repair* is not rehearsed:
the server has accepted this very manifest (same digest) for this very object (same UID), which
carries our marks still, and somebody has edited it since. Its one patch is as safe as both:

- it names the resourceVersion that was judged, so on any other state than that it is a Conflict;
- the server validates and admits it as it would the rehearsal, for this one object, whole or not
  at all: what it refuses has no effect, and ends as a refused rehearsal does. The caller forgets
  that the manifest was accepted, so the next attempt is rehearsed;
- one that defaults or admission make equal to what is there counts as unchanged. Mostly the server
  does not even store it; but where somebody else has written the same field, it may take the field
  back into our managedFields. The outcome says so (Outcome.in_vain), and from then on repairs of
  this object are rehearsed, so that nobody is answered by a write each time.

All else is rehearsed: a new manifest, an adoption, what is applied server-side for its size, and
any further attempt at what was refused or in conflict.

Each write names the resourceVersion that was judged. An edit that came between would otherwise be
in the server's answer, which is remembered as being in step, and stay for ever. Only where an
object of ours changes faster than it can be judged, a last attempt leaves that out, as kubectl does
always; its outcome says so (Outcome.raced), and the object is looked at again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from agent.apply import serverside
from agent.apply.desired import Desired
from agent.apply.recreate import recreate
from agent.apply.requests import Patched, Requests, guarded, metadata_patch
from agent.config.model import IgnoredFields
from agent.config.pointers import Pointer
from agent.errors import AgentError
from agent.kube.client import FIELD_MANAGER
from agent.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from agent.manifest import marks
from agent.manifest.keys import GroupKind, JSONObject
from agent.manifest.redact import without_values
from agent.plan import foreign, ignorefields, lastapplied
from agent.plan.change import Action, Outcome
from agent.plan.differences import differing
from agent.plan.errors import PlanError
from agent.plan.fights import Writer, last_writer
from agent.plan.merge import normalise, three_way
from agent.plan.ownership import Owner, Record, mark, missing_marks, owner_of, project
from agent.plan.strategy import UpdateStrategy, strategy_of

_CONFLICTS = 5  # as kubectl: re-read and re-merge this often before giving up
_CONFLICT_PAUSE = 0.2  # seconds
_SECRET = GroupKind("", "Secret")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an object shall be: with our marks, and with the annotation of what was applied last.

    ``annotated`` is None when that is too large.
    """

    marked: JSONObject
    annotated: JSONObject | None = None

    @property
    def body(self) -> JSONObject:
        return self.annotated or self.marked


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies objects for one track.

    ``digest_key`` keys the digests that stand for Secret values in the last-applied annotation.
    ``adopt`` takes over objects that another track, agent or tool manages. ``ignored`` are the
    rules that name fields which are written at a create only.
    """

    requests: Requests
    owner: Owner
    digest_key: bytes
    adopt: bool = False
    ignored: tuple[IgnoredFields, ...] = ()

    def digest(self, desired: Desired) -> bytes:
        """Return a digest of all that the configuration and git want of an object."""
        return ignorefields.digest(desired.manifest.digest, self._ignored_in(desired))

    async def apply(
        self,
        desired: Desired,
        *,
        missing: bool = False,
        seen: JSONObject | None = None,
        accepted: str = "",
    ) -> Outcome:
        """Create or update one object and say what happened; never raises an AgentError.

        ``missing`` says that a synced watch has no such object, so a create is tried first and
        the read is saved; if the object is there all the same, it is read and merged. ``seen`` is
        the object as a watch brought it: it saves the read, if the server has nothing newer.
        ``accepted`` is the UID of the object for which the server took this manifest before: a
        repair of that one is not rehearsed.
        """
        try:
            strategy = strategy_of(desired.object())
            if missing:
                try:
                    return await self._create(desired)
                except (AlreadyExists, Invalid):
                    # Unmarked, or made in this very moment. A Service that exists is refused as
                    # Invalid when its own port or address is taken, by itself.
                    pass
            if seen is not None:
                if done := await self._apply_to(desired, seen, strategy, accepted=accepted):
                    return done
                accepted = ""  # it was not this time
            return await self._read_and_apply(desired, strategy, accepted=accepted)
        except AgentError as error:
            return Outcome(
                desired.key, Action.UPDATE, error=f"{_told(error, desired)} [{desired.origin}]"
            )

    async def _apply_to(
        self, desired: Desired, seen: JSONObject, strategy: UpdateStrategy, *, accepted: str
    ) -> Outcome | None:
        """Bring an object in step that was not read but seen; None when it has to be read.

        Every write carries the resourceVersion that was judged, so nothing old decides. What the
        server refuses may have been judged by something old, and is judged again.
        """
        try:
            return await self._update(desired, seen, strategy, accepted=accepted)
        except (Conflict, Invalid, NotFound):
            return None

    async def _read_and_apply(
        self, desired: Desired, strategy: UpdateStrategy, *, accepted: str
    ) -> Outcome:
        """Read, judge, write; anew after each Conflict, because it was judged by an old state.

        So it was if the object that was read is not found any more.
        """
        attempt = 0
        while True:
            live = await self.requests.live(desired)
            try:
                if live is None:
                    return await self._create(desired)
                last = attempt == _CONFLICTS - 1
                return await self._update(desired, live, strategy, accepted=accepted, last=last)
            except (Conflict, Invalid, NotFound) as error:
                attempt += 1
                accepted = ""
                is_gone = isinstance(error, NotFound)
                overtaken = isinstance(error, Conflict) or (is_gone and live is not None)
                if not overtaken or attempt == _CONFLICTS:
                    if live is None or is_gone or strategy is not UpdateStrategy.RECREATE:
                        raise
                    return await self._recreate(desired, live, error)
            await asyncio.sleep(_CONFLICT_PAUSE * (attempt - 1))

    async def _create(self, desired: Desired) -> Outcome:
        wanted = self._wanted(desired, live=None)
        created = await self.requests.create(desired, wanted.body)
        reason = "" if wanted.annotated else serverside.REASON
        return self._outcome(desired, Action.CREATE, created, reason)

    async def _update(
        self,
        desired: Desired,
        live: JSONObject,
        strategy: UpdateStrategy,
        *,
        accepted: str,
        last: bool = False,
    ) -> Outcome:
        """Bring a live object in step if it is ours or nobody's.

        A write carries the resourceVersion that was judged, so that of two owners at the same
        moment only the first wins; in a ``last`` attempt only as long as the object is not ours.
        """
        if reason := self._whose(desired, live):
            return Outcome(desired.key, Action.IGNORE, reason=reason)
        if "deletionTimestamp" in live["metadata"]:
            raise PlanError(
                f"{desired.key} is being deleted and waits for its finalizers "
                f"{live['metadata'].get('finalizers') or []}; it is created again afterwards"
            )
        if strategy is UpdateStrategy.NEVER:
            return await self._only_mark(desired, live)
        wanted = self._wanted(desired, live=live)
        ours = self._is_ours(desired, live)
        repair = ours and bool(accepted) and accepted == live["metadata"].get("uid")
        free = ours and last
        if wanted.annotated is None:
            patched = await serverside.apply(self.requests, desired, live, wanted.marked, free=free)
            reason = serverside.REASON
        else:
            patched = await self._merge(desired, live, wanted, free=free, rehearse=not repair)
            reason = ""
        if not patched.changed:
            unchanged = self._outcome(desired, Action.UNCHANGED, patched.live, reason)
            return replace(unchanged, in_vain=patched.in_vain)
        updated = self._outcome(desired, Action.UPDATE, patched.live, reason)
        changed, writer = _changes(desired, before=live, after=patched.live)
        return replace(updated, changed=changed, writer=writer, raced=free)

    async def _merge(
        self,
        desired: Desired,
        live: JSONObject,
        wanted: _Wanted,
        *,
        free: bool,
        rehearse: bool,
    ) -> Patched:
        """Three-way merge. Unless ``free`` the object must still be as it was judged."""
        shrunk = None
        if serverside.is_server_side(live):  # it was too large once; what git dropped since goes
            shrunk = await serverside.apply(self.requests, desired, live, wanted.marked, free=free)
            live, rehearse = shrunk.live, True
        patch = three_way(
            gvk=desired.resource.gvk,
            last_applied=lastapplied.read(live),
            desired=wanted.body,
            live=live,
            schema=desired.schema,
        )
        if patch.body and not free:
            patch = guarded(patch, live)
        done = await self.requests.patch_if_it_matters(desired, live, patch, rehearse=rehearse)
        return replace(done, changed=True) if shrunk and shrunk.changed else done

    async def _only_mark(self, desired: Desired, live: JSONObject) -> Outcome:
        """Strategy ``never``: make it ours, so that it is pruned one day, and change nothing."""
        patch = metadata_patch(missing_marks(live, owner=self.owner, key=desired.key))
        if not patch.body:
            return self._outcome(desired, Action.UNCHANGED, live)
        marked = await self.requests.patch(desired, guarded(patch, live))
        return self._outcome(desired, Action.UPDATE, marked)

    async def _recreate(self, desired: Desired, live: JSONObject, error: AgentError) -> Outcome:
        """Replace an object that refused the change, if it is ours beyond doubt."""
        if not self._is_ours(desired, live):
            error.add_note("not recreated: the object does not carry this track's marks")
            raise error
        body = self._wanted(desired, live=None).body
        created = await recreate(self.requests, desired, live, body)
        return self._outcome(desired, Action.RECREATE, created)

    def _is_ours(self, desired: Desired, live: JSONObject) -> bool:
        return owner_of(live, key=desired.key) == str(self.owner)

    def _whose(self, desired: Desired, live: JSONObject) -> str:
        """Return who else manages a live object, as a reason to leave it alone, or ""."""
        owner = owner_of(live, key=desired.key)
        if owner == str(self.owner) or self.adopt:
            return ""
        if owner:
            return f"owned by track {owner}"
        tool = foreign.manager_of(live, desired=desired.object(), applyset=self.owner.applyset)
        return f"managed by {tool}; set adopt = true on the track to take it over" if tool else ""

    def _ignored_in(self, desired: Desired) -> tuple[Pointer, ...]:
        return ignorefields.pointers_for(self.ignored, desired.key)

    def _wanted(self, desired: Desired, *, live: JSONObject | None) -> _Wanted:
        """Return what the object shall be; in ignored fields it is what live is.

        Neither our marks nor ignored fields are in the annotation of what was applied last.
        """
        wanted = applied = normalise(desired.object())
        if pointers := self._ignored_in(desired):
            applied = ignorefields.left_out(wanted, pointers)
            if live is not None:
                settled = ignorefields.left_to_live(wanted, live, pointers, schema=desired.schema)
                wanted = normalise(settled)
        marked = mark(wanted, owner=self.owner, key=desired.key)
        own = lastapplied.encode(applied, digest_key=self.digest_key, live=live)
        if not lastapplied.fits(own, desired=marked, live=live):
            return _Wanted(marked)
        metadata = marked["metadata"]
        annotations = {**metadata["annotations"], marks.LAST_APPLIED: own}
        return _Wanted(marked, {**marked, "metadata": {**metadata, "annotations": annotations}})

    def _outcome(
        self, desired: Desired, action: Action, live: JSONObject, reason: str = ""
    ) -> Outcome:
        return Outcome(desired.key, action, reason=reason, live=record(desired, live))


def _told(error: AgentError, desired: Desired) -> str:
    """Say what went wrong; never with a value of a Secret in it."""
    text = "; ".join((str(error), *getattr(error, "__notes__", ())))
    if desired.key.group_kind != _SECRET:
        return text
    if isinstance(error, ApiError) and not _speaks_of_rules(error):
        return error.without_values()
    return without_values(text, desired.object())


def _speaks_of_rules(error: ApiError) -> bool:
    """Tell a refusal by RBAC, quota or webhook from one that quotes what it cannot read."""
    by_rule = isinstance(error, Forbidden | NotFound | Conflict)
    return by_rule or error.message.startswith("Internal error occurred: failed calling webhook")


def _changes(
    desired: Desired, *, before: JSONObject, after: JSONObject
) -> tuple[tuple[str, ...], Writer | None]:
    """Return what an update changed, and who had written it."""
    has_status = desired.resource.has_status
    changed = differing(before, after, schema=desired.schema, has_status=has_status)
    return changed, last_writer(before, changed, ourselves=FIELD_MANAGER)


def record(desired: Desired, live: JSONObject) -> Record:
    """Make the record of a live object as the watch would; lists leave apiVersion and kind out."""
    gvk = desired.resource.gvk
    named = {"apiVersion": gvk.api_version, "kind": gvk.kind, **live}
    return project(named, has_status=desired.resource.has_status)
