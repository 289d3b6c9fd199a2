"""What the agent serves over HTTP: health, metrics, status, webhooks.

Duty: show the state that ``reconcile`` keeps; change nothing.
May import: ``apply`` and below; not ``reconcile``.
Promises: no secret in any answer. Nothing is served yet: this package is the place for it.
"""
