"""The requests that bring one object in step, each answered with the object as it then is."""

from __future__ import annotations

from dataclasses import dataclass

from agent.apply.desired import Desired
from agent.kube.client import Client
from agent.kube.errors import BadRequest, NotFound
from agent.manifest.keys import JSONObject
from agent.plan.merge import JSON_MERGE_PATCH, Patch
from agent.plan.merge.values import plain
from agent.plan.ownership import live_digest

APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML


@dataclass(frozen=True, slots=True)
class Patched:
    """What came of a patch: the object as it now is, and whether anything that matters changed.

    ``in_vain`` is whether the patch was made all the same: defaults or admission turned it into
    what was there, at most with other managedFields.
    """

    live: JSONObject
    changed: bool
    in_vain: bool = False


@dataclass(frozen=True, slots=True)
class Requests:
    """Reads and writes of single objects. Raises KubeErrors.

    ``server_dry_run`` is whether an update is asked for before it is made.
    """

    client: Client
    server_dry_run: bool

    async def live(self, desired: Desired) -> JSONObject | None:
        """Read the object, None when it is not there."""
        key = desired.key
        try:
            return await self.client.get(desired.resource, namespace=key.namespace, name=key.name)
        except NotFound:
            return None

    async def create(self, desired: Desired, body: JSONObject) -> JSONObject:
        """Create the object; a null in git says nothing of it, as with kubectl."""
        return await self.client.create(
            desired.resource, plain(body), namespace=desired.key.namespace
        )

    async def patch(self, desired: Desired, patch: Patch, *, dry_run: bool = False) -> JSONObject:
        """Send a patch; a server-side apply takes fields over from other managers."""
        return await self.client.patch(
            desired.resource,
            patch.body,
            namespace=desired.key.namespace,
            name=desired.key.name,
            content_type=patch.content_type,
            dry_run=dry_run,
            force=patch.content_type == APPLY_PATCH,
        )

    async def patch_if_it_matters(
        self, desired: Desired, live: JSONObject, patch: Patch, *, rehearse: bool = True
    ) -> Patched:
        """Send a patch unless the server says that nothing would change.

        The dry-run counts defaults and admission in: what they make equal is no difference.
        Without ``rehearse`` there is none, and the patch itself tells.
        """
        if not patch.body or (rehearse and await self._changes_nothing(desired, live, patch)):
            return Patched(live, changed=False)
        patched = await self.patch(desired, patch)
        before, after = live["metadata"], patched["metadata"]
        if before["resourceVersion"] == after["resourceVersion"]:
            return Patched(live, changed=False, in_vain=True)
        in_vain = is_same(desired, patched, live)
        return Patched(patched, changed=not in_vain, in_vain=in_vain)

    async def _changes_nothing(self, desired: Desired, live: JSONObject, patch: Patch) -> bool:
        if not self.server_dry_run:
            return False
        try:
            result = await self.patch(desired, patch, dry_run=True)
        except BadRequest as error:
            if refuses_dry_run(error):
                return False
            raise
        return is_same(desired, result, live)


def refuses_dry_run(error: BadRequest) -> bool:
    """Tell whether a dry-run was refused as such: a webhook with side effects does."""
    return "dry" in error.message.lower()


def is_same(desired: Desired, one: JSONObject, other: JSONObject) -> bool:
    """Tell whether two states of an object differ in nothing but volatile metadata and status."""
    has_status = desired.resource.has_status
    return live_digest(one, has_status=has_status) == live_digest(other, has_status=has_status)


def guarded(patch: Patch, live: JSONObject) -> Patch:
    """Make a patch fail with a Conflict when the object is not the one that was judged."""
    metadata = {
        **(patch.body.get("metadata") or {}),
        "resourceVersion": live["metadata"]["resourceVersion"],
    }
    return Patch(patch.content_type, {**patch.body, "metadata": metadata})


def metadata_patch(metadata: JSONObject) -> Patch:
    """Return a JSON merge patch of metadata alone; empty for empty metadata."""
    return Patch(JSON_MERGE_PATCH, {"metadata": metadata} if metadata else {})
