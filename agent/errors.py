"""The root of the error tree.

::

    AgentError
    ├── ConfigError            config.errors    the TOML file, a flag or a variable is wrong
    ├── ManifestError          manifest.errors  a file in git cannot be read as objects
    ├── SourceError            source.errors    a repository cannot be reached or read
    ├── KubeError              kube.errors      the API server said no, or nothing
    └── PlanError              plan.errors      an object cannot be merged or must not be touched

Leaf classes live next to the code that raises them. A message is for the person at 3 a.m.: what
failed, where, why, what to do; never a secret.
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of every error the agent raises on purpose.

    ``retryable`` says whether the same call may succeed later with nothing changed here.
    """

    retryable = False
    exit_code = 1
