"""Where secrets are: the keys that name a file, a variable or a Kubernetes Secret.

Pure. Names and rules are Faros' (faros.md section 4.1), and so are its texts where it has one.
What is found in a place's keys is never shown: it may be the secret itself, in the wrong line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from agent.config import values
from agent.config.model import (
    SCOPE_CLUSTER,
    SCOPE_CLUSTER_ONLY,
    CredentialType,
    DeployKey,
    Place,
    Proxy,
    Verify,
    VerifyKeys,
)
from agent.config.repository import transport
from agent.config.tables import Reading, Schema, read
from agent.config.values import Converter, Fault, Invalid, Paths, invalid

_SECRET_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SECRET_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_OWNER: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_]*")
_PROXY_SCHEMES: Final = ("http", "https", "socks4", "socks5", "socks5h")

_INLINE: Final = "unknown key, and secrets are never inline: use file, env or secret-name"
_ANSWERS: Final = {
    **dict.fromkeys(
        ("secret", "secret-ref", "secretRef"), 'unknown key, did you mean "secret-name"?'
    ),
    **dict.fromkeys(("password", "username", "token", "value", "private-key"), _INLINE),
}
_ANSWERS_FOR_KEYS: Final = {
    **_ANSWERS,
    "key": "not for public keys, remove it: every entry of the Secret is read",
    **dict.fromkeys(("file", "dir", "path"), 'for files or folders write keys = ["…"] instead'),
}
_BOTH_FOR_KEY: Final = "both SecretName and Key must be set when using DeployKey"
_BOTH: Final = "both secret-name and key must be set"

_Named = TypeVar("_Named", bound=Place | VerifyKeys)

_OF_SSH: Final = ("passphrase",)
_OF_APP: Final = ("app-id", "installation-id", "installation-owner", "base-url")

_REACHED_BY: Final = {
    "known-hosts": ("ssh",),
    "ca": ("https",),
    "client-certificate": ("https",),
    "client-key": ("https",),
    "proxy": ("ssh", "https", "http"),
}
"""The transports that each key is for, beside the deploy key."""


def place(paths: Paths) -> Converter:
    """Return a converter of a table that names one place."""
    schema = _place_schema(paths)

    def convert(raw: object) -> Place:
        return Place(**_read_place(raw, schema, whole=False, both=_BOTH))

    return convert


def deploy_key(paths: Paths) -> Converter:
    """Return a converter of ``deploy-key``: a place or a whole Secret, and what is in it."""
    schema = {
        **_place_schema(paths),
        "dir": paths.of_secret,
        "type": values.credential_type,
        "passphrase": place(paths),
        "app-id": _number_or_text,
        "installation-id": _number_or_text,
        "installation-owner": _owner,
        "base-url": _base_url,
    }

    def convert(raw: object) -> DeployKey:
        found = _read_place(raw, schema, whole=True, both=_BOTH_FOR_KEY)
        key = DeployKey(**found)
        if key.is_whole:
            key = replace(key, type=None)
        if isinstance(raw, dict) and (faults := list(_misfits(key, raw))):
            raise Invalid(*faults)
        return key

    return convert


def proxy(paths: Paths) -> Converter:
    """Return a converter of ``proxy``: a place, a whole Secret, or a URL without credential."""
    schema = {**_place_schema(paths), "dir": paths.of_secret, "url": _proxy_url}

    def convert(raw: object) -> Proxy:
        return Proxy(**_read_place(raw, schema, whole=True, both=_BOTH))

    return convert


def public_keys(paths: Paths) -> Converter:
    """Return a converter of ``keys``: a path, a list of paths, or where else public keys are."""
    listing = values.listing(paths.of_secret, example='["keys/ada.asc"]')
    schema = {key: _place_schema(paths)[key] for key in ("env", "secret-name", "secret-namespace")}

    def convert(raw: object) -> tuple[Path, ...] | VerifyKeys:
        if isinstance(raw, dict):
            found = _read_place(
                raw, schema, whole=True, both="needs a Secret", unknown=_ANSWERS_FOR_KEYS
            )
            return VerifyKeys(**found)
        if isinstance(raw, str):
            return (paths.of_secret(raw),)
        files: tuple[Path, ...] = listing(raw)
        if not files:
            raise invalid("empty", "expected the path of at least one file with public keys")
        return files

    return convert


def check_credentials(track: Reading) -> None:
    """Add a fault for each credential that cannot be what the repository's URL asks for.

    Faros ignored such a key silently, and the fetch then failed for another reason.
    """
    url = track.values.get("repository")
    if not isinstance(url, str):
        return
    reached_by = transport(url)
    key = track.values.get("deploy_key")
    if isinstance(key, DeployKey) and (message := _misfit(key, reached_by)):
        track.faults.append(Fault(message, ("deploy-key",)))
    for name, transports in _REACHED_BY.items():
        if _field(name) in track.values and reached_by not in transports:
            message = (
                f"the repository is reached by {reached_by}, and this is for "
                f"{' or '.join(transports)}: remove it or change the URL"
            )
            track.faults.append(Fault(message, (name,)))
    if "client_key" in track.values and "client_certificate" not in track.values:
        message = "has no certificate to go with, add client-certificate"
        track.faults.append(Fault(message, ("client-key",)))


def settle_namespaces(track: Reading) -> None:
    """Fill in the namespace of each Secret from the track's scope, or add what is wrong with it.

    A track of one namespace reads Secrets of that namespace only, any other must name one.
    """
    if any(fault.path == ("scope",) for fault in track.faults):
        return
    scope = track.values.get("scope", SCOPE_CLUSTER)
    own = "" if scope in (SCOPE_CLUSTER, SCOPE_CLUSTER_ONLY) else scope
    for name in ("deploy-key", *_REACHED_BY):
        found = track.values.get(_field(name))
        if not isinstance(found, Place):
            continue
        label = "DeployKey" if name == "deploy-key" else name
        try:
            settled = _settled(found, own, label=label)
            if isinstance(settled, DeployKey) and settled.passphrase is not None:
                inner = _settled(settled.passphrase, own, label="passphrase")
                settled = replace(settled, passphrase=inner)
            track.values[_field(name)] = settled
        except Invalid as error:
            track.faults += [Fault(fault.message, (name, *fault.path)) for fault in error.faults]
    _settle_verify(track, own)


def _settle_verify(track: Reading, own: str) -> None:
    verify = track.values.get("verify")
    if not isinstance(verify, Verify) or not isinstance(verify.keys, VerifyKeys):
        return
    try:
        keys = _settled(verify.keys, own, label="verify.keys")
        track.values["verify"] = replace(verify, keys=keys)
    except Invalid as error:
        where = ("verify", "keys")
        track.faults += [Fault(fault.message, (*where, *fault.path)) for fault in error.faults]


def _settled(found: _Named, own: str, *, label: str) -> _Named:
    path = ("passphrase", "secret-namespace") if label == "passphrase" else ("secret-namespace",)
    if not found.secret_name:
        return found
    if not found.secret_namespace and not own:
        message = f"no SecretNamespace set for {label}: the track is not of one namespace, name it"
        raise Invalid(Fault(message, path))
    if own and found.secret_namespace not in ("", own):
        message = (
            f"the {label} namespace must match GitTrack namespace or be empty: "
            f'the scope of the track is "{own}"'
        )
        raise Invalid(Fault(message, path))
    return replace(found, secret_namespace=found.secret_namespace or own)


def _place_schema(paths: Paths) -> dict[str, Converter]:
    return {
        "file": paths.of_secret,
        "env": values.environment_name,
        "secret-name": _matching(_SECRET_NAME, "the name of a Secret"),
        "secret-namespace": values.optional_label,
        "key": _matching(_SECRET_KEY, "the name of a key in a Secret"),
    }


def _read_place(
    raw: object,
    schema: Schema,
    *,
    whole: bool,
    both: str,
    unknown: Mapping[str, str] = _ANSWERS,
) -> dict[str, Any]:
    """Return what a table says that names exactly one place; raise Invalid.

    ``whole`` allows a Secret without a key; ``both`` is what is said where one of them is missing,
    ``unknown`` what is said of keys that the table does not have.
    """
    reading = read(raw, schema, unknown=unknown)
    if isinstance(raw, dict) and not (raw and reading.faults):
        reading.faults += _what_is_missing(raw, schema, whole=whole, both=both)
    if reading.faults:
        raise Invalid(*reading.faults)
    return reading.values


def _what_is_missing(
    raw: Mapping[str, object], schema: Schema, *, whole: bool, both: str
) -> Iterator[Fault]:
    places = [key for key in ("file", "env", "secret-name", "dir", "url") if key in schema]
    named = [key for key in places if key in raw]
    of_secret = [key for key in ("key", "secret-namespace") if key in raw]
    if of_secret and not named:
        yield Fault(f"{both}: secret-name is missing")
    elif len(named) != 1:
        yield Fault(f"needs exactly one of {', '.join(places[:-1])} and {places[-1]}")
    elif of_secret and "secret-name" not in named:
        yield Fault(f"goes with secret-name, not with {named[0]}", (of_secret[0],))
    elif "secret-name" in named and "key" not in raw and not whole:
        yield Fault(f"{both}: key is missing")


def _misfits(key: DeployKey, raw: Mapping[str, object]) -> Iterator[Fault]:
    """Say which keys of a deploy key do not go with each other."""
    if key.is_whole:
        what = "a folder" if key.dir else "a Secret without key"
        for name in ("type", *_OF_SSH, *_OF_APP):
            if name in raw:
                yield Fault(f"not for {what}: what it holds says so, remove it", (name,))
        return
    for kind, names in ((CredentialType.SSH, _OF_SSH), (CredentialType.GITHUB_APP, _OF_APP)):
        for name in names:
            if name in raw and key.type is not kind:
                yield Fault(f'goes with type = "{kind.value}"', (name,))
    if key.type is CredentialType.GITHUB_APP:
        if not key.app_id:
            yield Fault("missing, a GitHubApp needs it", ("app-id",))
        if bool(key.installation_id) == bool(key.installation_owner):
            yield Fault("a GitHubApp needs exactly one of installation-id and installation-owner")


def _misfit(key: DeployKey, reached_by: str) -> str:
    """Return why a deploy key is not for a transport, "" when it may be."""
    if reached_by == "file":
        return "a file repository takes no credential, remove it"
    if key.type is None or (key.type is CredentialType.SSH) == (reached_by == "ssh"):
        return ""
    other = CredentialType.SSH if reached_by == "ssh" else CredentialType.HTTP_BASIC_AUTH
    return (
        f"its type is {key.type.value}, but the repository is reached by {reached_by}: "
        f'set type = "{other.value}" or change the URL'
    )


def _matching(pattern: re.Pattern[str], what: str) -> Converter:
    def convert(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise invalid(f"not {what}", "and never write the secret itself here")
        return value

    return convert


def _number_or_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise invalid("not an id", "expected the number that GitHub shows")
    return value


def _owner(value: object) -> str:
    if not isinstance(value, str) or not _OWNER.fullmatch(value):
        raise invalid("not the name of a user or organisation", "expected it as in its URL")
    return value


def _base_url(value: object) -> str:
    parts = _split(value)
    if parts.scheme != "https" or not parts.hostname or _has_extras(parts):
        raise invalid(
            "not the URL of an API", "expected one such as https://ghe.example.org/api/v3"
        )
    return parts.geturl().rstrip("/")


def _proxy_url(value: object) -> str:
    parts = _split(value)
    if parts.username is not None or parts.password is not None:
        raise invalid(
            "has a credential in it (not shown)", "put the URL into a file, a variable or a Secret"
        )
    if parts.scheme not in _PROXY_SCHEMES or not parts.hostname or parts.path.strip("/"):
        schemes = ", ".join(_PROXY_SCHEMES)
        raise invalid("not the URL of a proxy", f"expected scheme://host:port, one of {schemes}")
    return parts.geturl()


def _has_extras(parts: SplitResult) -> bool:
    return bool(parts.username or parts.password or parts.query or parts.fragment)


def _split(value: object) -> SplitResult:
    given = values.text(value) if isinstance(value, str) and not values.has_control(value) else ""
    try:
        parts = urlsplit(given)
        _ = parts.port  # is only checked when it is asked for
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _field(key: str) -> str:
    return key.replace("-", "_")
