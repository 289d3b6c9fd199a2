"""The only package that writes managed objects: applier, prune, inventory.

Duty: carry out one change on one object, safely, and keep the record of what a track owns.
May import: ``plan``, ``kube``, ``source`` and below.
Promises: an update that the server has not accepted before is dry-run first, and an empty patch is
no request; every delete carries the UID and resourceVersion that were judged; the inventory is
widened before an apply and narrowed after a prune, so that a crash at any point leaks nothing.
"""
