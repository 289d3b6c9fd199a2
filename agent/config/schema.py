"""Which keys each table of the file has, and what each key takes.

Pure. A test holds these tables and the fields of ``model`` equal.
"""

from __future__ import annotations

from functools import partial

from agent.config import values
from agent.config.model import CredentialType, DeployKey, IgnoredFields, KnownHosts
from agent.config.repository import repository, transport
from agent.config.serving import bind_address
from agent.config.tables import Reading, Schema, read
from agent.config.values import Converter, Fault, Invalid, Paths

AGENT_ALIASES = {"repository-dir": "state-dir"}
"""Other spellings of ``[agent]`` keys, flags and variables; of both, only one may be given."""

TRACK_REQUIRED = ("name", "repository")
"""Keys without a default."""

TRACK_SYNONYMS = {
    **dict.fromkeys(("url", "repo"), "repository"),
    **dict.fromkeys(("ref", "branch", "tag", "commit", "revision"), "reference"),
    **dict.fromkeys(("path", "subpath", "directory"), "sub-path"),
    **dict.fromkeys(("namespace", "target-namespace"), "scope"),
}
"""What other tools call keys of a track; only answered with the name they have here."""

_FIELDS_SCHEMA: Schema = {
    "kind": values.kind,
    "namespace": values.optional_label,
    "name": values.text,
    "pointers": values.pointers,
}
_FIELDS_REQUIRED = ("kind", "pointers")

_SHORTEST_PERIOD = 1.0  # seconds; below it the polls themselves are the load
_SHORTEST_TIMEOUT = 0.001  # seconds

_ONE_PLACE = "needs exactly one of file and env"
_LATER = "a Secret reference is not supported yet, use file or env"
_INLINE = "unknown key, and secrets are never inline: use file or env"
_ANSWERS = {
    **dict.fromkeys(("secret-name", "secret-namespace", "secret-ref", "key"), _LATER),
    **dict.fromkeys(("password", "username", "token", "value", "private-key"), _INLINE),
}
_CREDENTIAL_OF = {
    "ssh": CredentialType.SSH,
    "https": CredentialType.HTTP_BASIC_AUTH,
    "http": CredentialType.HTTP_BASIC_AUTH,
}


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
    place = {"file": paths.of_secret, "env": values.environment_name}
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
        "adopt": values.boolean,
        "ignore-fields": values.listing(
            _ignored_fields, example='[{ kind = "…", pointers = ["…"] }]'
        ),
        "deploy-key": partial(_secret, DeployKey, {**place, "type": values.credential_type}),
        "known-hosts": partial(_secret, KnownHosts, place),
        "ca-file": paths.optional,
    }


def _ignored_fields(raw: object) -> IgnoredFields:
    """Take a table that says which fields of which objects are left alone."""
    reading = read(raw, _FIELDS_SCHEMA, required=_FIELDS_REQUIRED)
    if reading.faults:
        raise Invalid(*reading.faults)
    return IgnoredFields(**reading.values)


def _secret(model: type[DeployKey | KnownHosts], schema: Schema, raw: object) -> object:
    """Take a table that says where a secret is."""
    reading = read(raw, schema, unknown=_ANSWERS)
    both_or_none = isinstance(raw, dict) and ("file" in raw) == ("env" in raw)
    if both_or_none and not (raw and reading.faults):
        reading.faults.append(Fault(_ONE_PLACE))
    if reading.faults:
        raise Invalid(*reading.faults)
    return model(**reading.values)


def check_credential(track: Reading) -> None:
    """Add a fault when the deploy key cannot be what the repository's URL asks for.

    Faros ignored such a key silently, and the fetch then failed for another reason.
    """
    key, url = track.values.get("deploy_key"), track.values.get("repository")
    if not isinstance(key, DeployKey) or not isinstance(url, str):
        return
    reached_by = transport(url)
    wanted = _CREDENTIAL_OF.get(reached_by)
    if wanted is None:
        message = f"a {reached_by} repository takes no credential, remove it"
    elif key.type is not wanted:
        message = (
            f"its type is {key.type.value}, but the repository is reached by {reached_by}: "
            f'set type = "{wanted.value}" or change the URL'
        )
    else:
        return
    track.faults.append(Fault(message, ("deploy-key",)))
