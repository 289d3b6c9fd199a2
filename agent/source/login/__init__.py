"""How to get in: credentials, from wherever the configuration says they are.

Duty: read keys, passwords and tokens from files, folders, variables and Secrets each time they are
needed, and make of them what a git server is shown.
May import: the rest of ``source`` but for what polls and fetches.
Promises: no value is in an error, a log line or a repr; what was rotated counts at the next fetch.

``credentials`` are values; ``places`` is where they lie, ``layout`` what a whole Secret means by
its keys, ``providers`` what reads them for a track; ``githubapp`` trades an app's key for tokens;
``sshkeys`` and ``known_hosts`` know ssh's forms.
"""
