"""Which keys each table of the file has, and what each key takes.

Pure. A test holds these tables and the fields of ``model`` equal.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from agent.config import values
from agent.config.model import (
    CredentialType,
    DeployKey,
    IgnoredFields,
    KnownHosts,
    Verify,
    VerifyKeys,
    VerifyMode,
)
from agent.config.repository import repository, transport
from agent.config.tables import Reading, Schema, read
from agent.config.values import Converter, Fault, Invalid, Paths, invalid

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

_FULL_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")

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
    }


def track_schema(paths: Paths) -> dict[str, Converter]:
    """Return the keys of a ``[[track]]``."""
    place = {"file": paths.of_secret, "env": values.environment_name}
    return {
        "name": values.label,
        "repository": repository,
        "reference": values.reference,
        "sub-path": values.sub_path,
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
        "verify": partial(
            _verify, {"keys": partial(_verify_keys, paths), "mode": values.verify_mode}
        ),
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


def _verify(schema: Schema, raw: object) -> Verify:
    """Take a table that says who has to have signed what."""
    reading = read(raw, schema, required=("keys",))
    if reading.faults:
        raise Invalid(*reading.faults)
    return Verify(**reading.values)


def _verify_keys(paths: Paths, raw: object) -> tuple[Path, ...] | VerifyKeys:
    """Take a path, a list of paths, or a table that says where else public keys are."""
    if isinstance(raw, str):
        return (paths.of_secret(raw),)
    if isinstance(raw, dict):
        reading = read(raw, {"env": values.environment_name}, required=("env",), unknown=_ANSWERS)
        if reading.faults:
            raise Invalid(*reading.faults)
        return VerifyKeys(**reading.values)
    found: tuple[Path, ...] = values.listing(paths.of_secret, example='["keys/ada.asc"]')(raw)
    if not found:
        raise invalid("empty", "expected the path of at least one file with public keys")
    return found


def check_verify(track: Reading) -> None:
    """Add a fault when the reference cannot be the tag that has to be signed."""
    verify, reference = track.values.get("verify"), track.values.get("reference", "")
    if not isinstance(verify, Verify) or verify.mode is VerifyMode.HEAD:
        return
    what = "a commit" if _FULL_SHA.fullmatch(reference) else "the default branch"
    if what == "a commit" or not reference:
        message = f'"{verify.mode}" asks for a signed tag, but reference is {what}: name the tag'
        track.faults.append(Fault(message, ("verify", "mode")))


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
