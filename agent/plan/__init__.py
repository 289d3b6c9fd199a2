"""Pure thinking: what has to change, and in which order.

Duty: three-way merge, ownership, ordering, the rules that guard deletions; the rights and the
manifests that the agent itself needs (``rights``, ``install``).
May import: ``manifest``, ``config``, ``errors``. No event loop, no I/O, no clock.
Promises: same inputs, same answer; inputs are never modified; fields that git never mentioned are
left alone; with no last-applied configuration nothing is deleted.
"""
