"""What the agent serves over HTTP: health, metrics and status; webhooks and a page later.

Duty: show the state that ``reconcile`` keeps; change nothing. Probes have a port of their own, so
that they stay plain however the metrics are protected.
May import: ``apply`` and below; not ``reconcile``, whose answers come in as callables.
Promises: no secret in any answer; whoever may not read gets nothing, also while the API server
that has to say so is away; a slow or hostile client costs the agent no more than its connection.
"""
