"""Which keys each table of the file has, and what each key takes.

Pure. A test holds these tables and the fields of ``model`` equal.
"""

from __future__ import annotations

from agent.config import places, values
from agent.config.model import IgnoredFields
from agent.config.repository import repository
from agent.config.serving import bind_address
from agent.config.tables import Schema, read
from agent.config.values import Converter, Invalid, Paths
from agent.config.verify import verify

AGENT_ALIASES = {"repository-dir": "state-dir"}
"""Other spellings of ``[agent]`` keys, flags and variables; of both, only one may be given."""

TRACK_REQUIRED = ("name", "repository")
"""Keys without a default."""

TRACK_SYNONYMS = {
    **dict.fromkeys(("url", "repo"), "repository"),
    **dict.fromkeys(("ref", "branch", "tag", "commit", "revision"), "reference"),
    **dict.fromkeys(("path", "subpath", "directory"), "sub-path"),
    **dict.fromkeys(("namespace", "target-namespace"), "scope"),
    **dict.fromkeys(("secretRef", "secret-ref"), "deploy-key"),
    **dict.fromkeys(("proxySecretRef", "proxy-secret-ref"), "proxy"),
}
"""What other tools call keys of a track; only answered with the name they have here."""

TRACK_RETIRED = {"ca-file": 'now written as a place: ca = { file = "…" }'}
"""Keys of a track that there were, and what is written instead."""

_FIELDS_SCHEMA: Schema = {
    "kind": values.kind,
    "namespace": values.optional_label,
    "name": values.text,
    "pointers": values.pointers,
}
_FIELDS_REQUIRED = ("kind", "pointers")

_SHORTEST_PERIOD = 1.0  # seconds; below it the polls themselves are the load
_SHORTEST_TIMEOUT = 0.001  # seconds


def agent_schema(paths: Paths) -> dict[str, Converter]:
    """Return the keys of ``[agent]``, which are its flags and variables too."""
    return {
        "name": values.label,
        "namespace": values.namespace,
        "ignore-resources": values.ignored_resources,
        "sync-period": values.duration(minimum=_SHORTEST_PERIOD),
        "server-dry-run": values.boolean,
        "fetch-timeout": values.duration(minimum=_SHORTEST_TIMEOUT),
        "state-dir": paths.required,
        "state-namespace": values.optional_label,
        "kubeconfig": paths.optional,
        "context": values.text,
        "metrics-bind-address": bind_address(":8080"),
        "metrics-cert-file": paths.optional,
        "metrics-key-file": paths.optional,
        "metrics-authorization": values.boolean,
        "health-bind-address": bind_address(":8081"),
    }


def track_schema(paths: Paths) -> dict[str, Converter]:
    """Return the keys of a ``[[track]]``."""
    place = places.place(paths)
    return {
        "name": values.label,
        "repository": repository,
        "reference": values.reference,
        "sub-path": values.sub_path,
        "ignore": values.listing(values.ignore_pattern, example='["docs/", "!docs/crds/"]'),
        "interval": values.duration(minimum=_SHORTEST_PERIOD),
        "scope": values.scope,
        "prune": values.boolean,
        "prune-limit": values.percent,
        "suspend": values.boolean,
        "adopt": values.boolean,
        "ignore-fields": values.listing(
            _ignored_fields, example='[{ kind = "…", pointers = ["…"] }]'
        ),
        "deploy-key": places.deploy_key(paths),
        "known-hosts": place,
        "ca": place,
        "client-certificate": place,
        "client-key": place,
        "proxy": places.proxy(paths),
        "verify": verify(paths),
    }


def _ignored_fields(raw: object) -> IgnoredFields:
    """Take a table that says which fields of which objects are left alone."""
    reading = read(raw, _FIELDS_SCHEMA, required=_FIELDS_REQUIRED)
    if reading.faults:
        raise Invalid(*reading.faults)
    return IgnoredFields(**reading.values)
