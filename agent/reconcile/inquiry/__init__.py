"""What people ask of the tracks, found out by passes that change nothing.

Duty: make the agent's own passes with dry-runs in place of writes, and say what came of them.
May import: ``building``, ``passes`` and below; not what says when.
Promises: nothing is written, no Event is sent, values of Secrets are masked.

``rehearsal`` makes the passes; ``why`` says how an object came to be as it is; ``needs`` says which
kinds an agent manages.
"""
