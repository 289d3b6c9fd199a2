"""Three-way merge into a JSON merge patch (RFC 7386), for custom resources.

Duty: what kubectl's ``jsonmergepatch.CreateThreeWayJSONMergePatch`` does. Lists are atomic. A null
in the desired object deletes once, when git begins to say it, as with kubectl: a merge patch
cannot set a null, and a default the server puts in its place is left alone. Must not know kinds.
"""

from __future__ import annotations

from agent.manifest.keys import JSONObject
from agent.plan.merge.values import as_map, copied, equal


def three_way_json(
    *, last_applied: JSONObject | None, desired: JSONObject, live: JSONObject
) -> JSONObject:
    """Return the merge patch that makes ``live`` what ``desired`` says; ``{}`` if it already is.

    Added and changed: what desired has and live has not, or otherwise. Deleted: what
    ``last_applied`` has, desired no longer has and live still has; and what desired says is null
    and ``last_applied`` did not. All else in live stays.
    The inputs are not modified and the patch shares nothing with them.
    """
    patch = _deletions(as_map(last_applied), desired, live)
    for name, wanted in desired.items():
        have = live.get(name)
        if wanted is None:
            continue
        if isinstance(wanted, dict):
            if isinstance(have, dict):
                child = three_way_json(
                    last_applied=as_map(as_map(last_applied).get(name)), desired=wanted, live=have
                )
                if child:
                    patch[name] = child
            else:  # an empty map is a value, not an empty patch
                patch[name] = three_way_json(last_applied=None, desired=wanted, live={})
        elif not equal(have, wanted, nulls_count=True):
            patch[name] = copied(wanted)
    return patch


def _deletions(last: JSONObject, desired: JSONObject, live: JSONObject) -> JSONObject:
    dropped = [name for name in last if name not in desired]
    nulled = [name for name in desired if desired[name] is None and last.get(name, "") is not None]
    return {name: None for name in (*dropped, *nulled) if name in live}
