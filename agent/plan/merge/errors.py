"""What can keep three objects from being merged."""

from __future__ import annotations

from agent.plan.errors import PlanError


class MergeError(PlanError):
    """Lists that cannot be merged, or objects that are not the same object.

    The message names the field, as ``spec.template.spec.containers[2]``, and what to do.
    """
