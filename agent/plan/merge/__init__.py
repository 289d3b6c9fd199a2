"""Three-way merge: last-applied, desired and live in, the patch kubectl apply would send out.

Duty: DESIGN section 7, "Three-way merge". ``three_way`` is the way in; ``normalise`` makes of an
object in git what can be compared with a live one. May import: ``manifest`` and ``plan.errors``.
Promises: pure; inputs are never modified and patches share nothing with them; the patch is ``{}``
exactly when applying it would change nothing; what git never mentioned stays; with no last-applied
nothing is deleted; both of two list elements that share a merge key survive.

::

    patch           three_way, Patch: chooses strategic or JSON merge
    strategic       the strategic merge       duplicates   lists with a merge key twice
    json_patch      the JSON merge            arrange      the order of merged lists
    apply_patch     foresees the result       schema       which lists merge, by which key
    openapi         OpenAPI -> table.json     normalise    git's object as the server stores it
"""

from agent.plan.merge.errors import MergeError
from agent.plan.merge.normalise import normalise
from agent.plan.merge.patch import (
    JSON_MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Patch,
    preview,
    three_way,
)
from agent.plan.merge.schema import Schema, from_openapi, lookup

__all__ = [
    "JSON_MERGE_PATCH",
    "STRATEGIC_MERGE_PATCH",
    "MergeError",
    "Patch",
    "Schema",
    "from_openapi",
    "lookup",
    "normalise",
    "preview",
    "three_way",
]
