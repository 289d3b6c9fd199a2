"""What the agent says of its doings: status, Events, metrics, log lines.

Duty: turn outcomes into what people and Prometheus read.
May import: nothing else of ``reconcile``.
Promises: a thing is said once, not at each poll that finds it again; no value of a Secret in it.

``status`` is a track's whole state; ``events`` are log line and Kubernetes Event in one;
``measures`` counts what happened, ``gauges`` reads what is; ``telling`` keeps the log quiet.
"""
