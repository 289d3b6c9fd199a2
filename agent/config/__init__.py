"""TOML + environment + flags -> frozen dataclasses.

Duty: one strict reading of everything a user can set.
May import: ``errors``. Reads the one file it is given, nothing else.
Promises: unknown keys are errors with a suggestion; all problems are reported together, each with
file, line and key; no value of a secret is ever held here, only where to find it.
"""
