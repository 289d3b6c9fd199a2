"""Make one live object what git says: create, or three-way patch after a server dry-run.

Every failure is a value (Outcome.error): one bad object is not a failed pass. Nothing here ever
deletes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agent.apply.desired import Desired
from agent.errors import AgentError
from agent.kube.client import Client
from agent.kube.errors import AlreadyExists, BadRequest, Conflict, NotFound
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.plan import lastapplied
from agent.plan.change import Action, Outcome
from agent.plan.errors import PlanError
from agent.plan.merge import Patch, normalise, three_way
from agent.plan.ownership import Owner, Record, live_digest, mark, owner_of, project

_CONFLICTS = 5  # as kubectl: re-read and re-merge this often before giving up
_CONFLICT_PAUSE = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies objects for one track.

    ``digest_key`` keys the digests that stand for Secret values in the last-applied annotation.
    """

    client: Client
    owner: Owner
    digest_key: bytes
    server_dry_run: bool = True

    async def apply(self, desired: Desired, *, missing: bool = False) -> Outcome:
        """Create or update one object and say what happened; never raises an AgentError.

        ``missing`` says that a synced watch has no such object, so a create is tried first and
        the read is saved; if the object is there all the same, it is read and merged.
        """
        try:
            if missing:
                try:
                    return await self._create(desired)
                except AlreadyExists:
                    pass  # unmarked, or made in this very moment
            return await self._read_and_apply(desired)
        except AgentError as error:
            return Outcome(desired.key, Action.UPDATE, error=f"{error} [{desired.origin}]")

    async def _read_and_apply(self, desired: Desired) -> Outcome:
        for attempt in range(_CONFLICTS):
            live = await self._live(desired)
            try:
                if live is None:
                    return await self._create(desired)
                return await self._update(desired, live)
            except Conflict:
                if attempt == _CONFLICTS - 1:
                    raise
            await asyncio.sleep(_CONFLICT_PAUSE * attempt)
        raise PlanError(f"{desired.key}: changed {_CONFLICTS} times while it was updated")

    async def _live(self, desired: Desired) -> JSONObject | None:
        key = desired.key
        try:
            return await self.client.get(desired.resource, namespace=key.namespace, name=key.name)
        except NotFound:
            return None

    async def _create(self, desired: Desired) -> Outcome:
        obj = self._with_marks(desired, live=None)
        created = await self.client.create(desired.resource, obj, namespace=desired.key.namespace)
        return self._outcome(desired, Action.CREATE, created)

    async def _update(self, desired: Desired, live: JSONObject) -> Outcome:
        """Patch a live object if it is ours or nobody's and differs."""
        owner = owner_of(live, key=desired.key)
        if owner and owner != str(self.owner):
            return Outcome(desired.key, Action.IGNORE, reason=f"owned by track {owner}")
        if "deletionTimestamp" in live["metadata"]:
            raise PlanError(
                f"{desired.key} is being deleted and waits for its finalizers "
                f"{live['metadata'].get('finalizers') or []}; it is created again afterwards"
            )
        patch = self._patch(desired, live, adopting=not owner)
        if patch is None or await self._makes_no_difference(desired, live, patch):
            return self._outcome(desired, Action.UNCHANGED, live)
        patched = await self._send(desired, patch, dry_run=False)
        return self._outcome(desired, Action.UPDATE, patched)

    def _patch(self, desired: Desired, live: JSONObject, *, adopting: bool) -> Patch | None:
        """Merge; None when there is nothing to change.

        While the object is not ours yet the patch carries the resourceVersion that was judged, so
        that of two owners at the same moment only the first wins.
        """
        patch = three_way(
            gvk=desired.resource.gvk,
            last_applied=lastapplied.read(live),
            desired=self._with_marks(desired, live=live),
            live=live,
        )
        if not patch.body:
            return None
        if not adopting:
            return patch
        metadata = {
            **(patch.body.get("metadata") or {}),
            "resourceVersion": live["metadata"]["resourceVersion"],
        }
        return Patch(patch.content_type, {**patch.body, "metadata": metadata})

    async def _makes_no_difference(self, desired: Desired, live: JSONObject, patch: Patch) -> bool:
        """Ask the server for the result without persisting it: defaults are no differences."""
        if not self.server_dry_run:
            return False
        try:
            result = await self._send(desired, patch, dry_run=True)
        except BadRequest as error:
            if "dry" in error.message.lower():  # a webhook with side effects refuses dry-runs
                return False
            raise
        has_status = desired.resource.has_status
        return live_digest(result, has_status=has_status) == live_digest(
            live, has_status=has_status
        )

    async def _send(self, desired: Desired, patch: Patch, *, dry_run: bool) -> JSONObject:
        return await self.client.patch(
            desired.resource,
            patch.body,
            namespace=desired.key.namespace,
            name=desired.key.name,
            content_type=patch.content_type,
            dry_run=dry_run,
        )

    def _with_marks(self, desired: Desired, *, live: JSONObject | None) -> JSONObject:
        """Return what the object shall be, with our marks and the last-applied annotation."""
        obj = normalise(desired.object())
        annotation = lastapplied.encode(obj, digest_key=self.digest_key, live=live)
        marked = mark(obj, owner=self.owner, key=desired.key)
        marked["metadata"]["annotations"][marks.LAST_APPLIED] = annotation
        return marked

    def _outcome(self, desired: Desired, action: Action, live: JSONObject) -> Outcome:
        return Outcome(desired.key, action, live=self.record(desired, live))

    def record(self, desired: Desired, live: JSONObject) -> Record:
        """Make the record of a live object as the watch would."""
        return project(
            {
                "apiVersion": desired.resource.gvk.api_version,
                "kind": desired.resource.kind,
                **live,
            },
            has_status=desired.resource.has_status,
        )
