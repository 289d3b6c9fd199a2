"""What an apply would come to, without applying: requests that only dry-run, and remember.

The applier is the same; only what it writes with is another. The client it is given must be a
dry-run one, so that nothing is written whatever is overlooked here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.apply.desired import Desired
from agent.apply.requests import APPLY_PATCH, Patched, Requests, is_same, refuses_dry_run
from agent.kube.errors import BadRequest, NotFound
from agent.manifest.keys import JSONObject, ObjectKey
from agent.plan import ordering
from agent.plan.merge import Patch, preview
from agent.plan.merge.values import plain


@dataclass(frozen=True, slots=True)
class Preview:
    """An object as it is and as it would become; None where it is not there.

    ``asked`` is false when the server could not be asked, so that what it would default or refuse
    is not known.
    """

    before: JSONObject | None = field(repr=False)
    after: JSONObject | None = field(repr=False)
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Previews(Requests):
    """Requests that change nothing. ``seen`` has a preview of each object that was looked at.

    ``coming`` are the namespaces that the plan itself would create; objects in them are previewed
    without the server, which would only say that the namespace is not there.
    """

    seen: dict[ObjectKey, Preview] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)

    async def live(self, desired: Desired) -> JSONObject | None:
        """Read the object, and remember that it would stay so."""
        found = await Requests.live(self, desired)
        self.seen[desired.key] = Preview(found, found)
        return found

    async def create(self, desired: Desired, body: JSONObject) -> JSONObject:
        """Ask what would be created; in place of an object that is there, unasked."""
        key = desired.key
        before = self.seen[key].before if key in self.seen else None
        asked = before is None
        if asked:
            try:
                made = await Requests.create(self, desired, body)
            except NotFound:
                if key.namespace not in self.coming:
                    raise
                asked = False
        if not asked:
            made = plain(body)
        if key.group_kind == ordering.NAMESPACE:
            self.coming.add(key.name)
        self.seen[key] = Preview(before, made, asked)
        return made

    async def patch(self, desired: Desired, patch: Patch, *, dry_run: bool = False) -> JSONObject:
        """Ask what would become of the object.

        Where a webhook refuses dry-runs it is what the patch says, without defaults.
        """
        _ = dry_run
        before = self.seen[desired.key].before if desired.key in self.seen else None
        asked = True
        try:
            patched = await Requests.patch(self, desired, patch, dry_run=True)
        except BadRequest as error:
            if not refuses_dry_run(error) or before is None or patch.content_type == APPLY_PATCH:
                raise
            gvk, asked = desired.resource.gvk, False
            patched = preview(patch, gvk=gvk, live=before, schema=desired.schema)
        self.seen[desired.key] = Preview(before, patched, asked)
        return patched

    async def patch_if_it_matters(
        self, desired: Desired, live: JSONObject, patch: Patch, *, rehearse: bool = True
    ) -> Patched:
        """Ask what would become of the object."""
        _ = rehearse  # there is nothing else here
        if not patch.body:
            return Patched(live, changed=False)
        patched = await self.patch(desired, patch)
        same = is_same(desired, patched, live)
        return Patched(live if same else patched, changed=not same)
