"""Which replica writes: the campaign for Leases.

Duty: run what needs leading while a Lease is held, under its fence, and end it when it is lost.
May import: ``kube``, whose ``election`` decides; nothing else of ``reconcile``.
Promises: two replicas never write for one track; losing a Lease ends no process.

An ``elector`` campaigns for one Lease; ``candidates`` says how many there are, one or one a track;
``sharing`` has replicas end up with about as many tracks each.
"""
