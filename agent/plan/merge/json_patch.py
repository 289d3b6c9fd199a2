"""Three-way merge into a JSON merge patch (RFC 7386), for custom resources.

Duty: what kubectl's ``jsonmergepatch.CreateThreeWayJSONMergePatch`` does. Lists are atomic. A null
in the desired object says nothing of the live one, as with kubectl: a merge patch cannot set a
null. Must not know kinds.
"""

from __future__ import annotations

from agent.manifest.keys import JSONObject
from agent.plan.merge.values import as_map, copied, equal


def three_way_json(
    *, last_applied: JSONObject | None, desired: JSONObject, live: JSONObject
) -> JSONObject:
    """Return the merge patch that makes ``live`` what ``desired`` says; ``{}`` if it already is.

    Added and changed: what desired has and live has not, or otherwise. Deleted: what
    ``last_applied`` has, desired no longer has and live still has. All else in live stays.
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
            elif not wanted:
                patch[name] = {}  # an empty map is a value, not an empty patch
            elif added := three_way_json(last_applied=None, desired=wanted, live={}):
                patch[name] = added
        elif not equal(have, wanted, nulls_count=True):
            patch[name] = copied(wanted)
    return patch


def _deletions(last: JSONObject, desired: JSONObject, live: JSONObject) -> JSONObject:
    return {
        name: None
        for name, old in last.items()
        if old is not None and desired.get(name) is None and live.get(name) is not None
    }
