"""What one value may be: converters from what TOML gives to what the model holds.

A converter takes a value of any TOML type and returns the model's, or raises Invalid with what is
wrong, what was found (never where it could be a secret) and what is expected. Pure; knows nothing
of files and lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config.durations import format_duration, parse_duration
from agent.config.lines import KeyPath
from agent.config.model import (
    SCOPE_CLUSTER,
    SCOPE_CLUSTER_ONLY,
    CredentialType,
    ElectionMode,
    IgnoredResource,
    VerifyMode,
)
from agent.config.pointers import Pointer, why_not_ignorable
from agent.config.ranges import range_of

Converter = Callable[[object], Any]
"""From a TOML value to the model's; raises Invalid."""

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123, as Kubernetes wants it for names of namespaces and values of labels."""

_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_LEASE_NAME = 253 - 1 - 63  # a name may have 253 characters, a track's has 63
_LONGEST_IDENTITY = 128
_LONGEST_SHOWN = 60  # characters
_LARGEST_SHOWN = 10**15  # beyond it a number is noise, and Python refuses to print huge ones

_RANGE = 'a version range such as "semver: >=1.2 <2"'
_PATTERN = 'one such as "docs/", "*.json" or "!apps/"'
_LABEL_RULE = "expected lower-case letters, digits and -, at most 63, starting and ending with one"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a value; ``path`` leads from that value to the part that is wrong."""

    message: str
    path: KeyPath = ()


class Invalid(Exception):
    """A value is not what its key takes; carries every fault found in it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


def invalid(wrong: str, expected: str, *, got: object = None) -> Invalid:
    """Return the verdict ``wrong (got X), expected``; ``got`` is left out where it is None."""
    found = "" if got is None else f" (got {show(got)})"
    return Invalid(Fault(f"{wrong}{found}, {expected}"))


def show(value: object) -> str:
    """Return a value as a person would write it in TOML, cut when long; containers by their type.

    Not for values that may hold a secret: for those, see ``type_of``.
    """
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
        return json.dumps(cut, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if _is_number(value) else type_of(value)


def _is_number(value: object) -> bool:
    """Tell whether a value is a number of a size that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_SHOWN


def type_of(value: object) -> str:
    """Return the TOML type of a value with its article: ``a string``, ``a table``."""
    kinds = {str: "a string", bool: "a boolean", int: "an integer", float: "a float"}
    kinds |= {list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")


def has_control(value: str) -> bool:
    """Tell whether a string has a line break or another control character."""
    return _CONTROL.search(value) is not None


def text(value: object) -> str:
    """Take any string without control characters."""
    if not isinstance(value, str):
        hint = "put it in quotes" if _is_number(value) else "expected a string"
        raise invalid("not a string", hint, got=value)
    if has_control(value):
        raise invalid("has a line break or another control character", "remove it", got=value)
    return value


def boolean(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise invalid("not a boolean", "expected true or false", got=value)
    return value


def label(value: object) -> str:
    """Take a DNS label (RFC 1123)."""
    given = text(value)
    if not DNS_LABEL.fullmatch(given):
        raise invalid("not a DNS label", _LABEL_RULE, got=given)
    return given


def optional_label(value: object) -> str:
    """Take a DNS label or the empty string."""
    return "" if value == "" else label(value)


def namespace(value: object) -> str:
    """Take the name of a namespace or the empty string; words that are scopes are taken."""
    given = optional_label(value)
    if given in (SCOPE_CLUSTER, SCOPE_CLUSTER_ONLY):
        raise invalid("a word that means a scope of a track", "use another namespace", got=given)
    return given


def reference(value: object) -> str:
    """Take a git reference, ``semver:`` and a range of versions, or the empty string."""
    given = text(value)
    try:
        if range_of(given) is not None:
            return given
    except ValueError as error:
        raise invalid(f"not a version range: {error}", f"expected {_RANGE}", got=given) from error
    if " " in given:  # git allows none
        expected = f"expected a branch, tag, full SHA or {_RANGE}"
        raise invalid("not a git reference", expected, got=given)
    return given


def scope(value: object) -> str:
    """Take ``cluster``, ``cluster-only`` or a namespace's name."""
    given = text(value)
    if not DNS_LABEL.fullmatch(given):
        expected = f'expected "{SCOPE_CLUSTER}", "{SCOPE_CLUSTER_ONLY}" or the name of a namespace'
        raise invalid("not a scope", expected, got=given)
    return given


def duration(*, minimum: float) -> Converter:
    """Return a converter that takes a Go duration of at least ``minimum`` seconds, in seconds."""

    def convert(value: object) -> float:
        if not isinstance(value, str):
            example = f'"{value}s"' if _is_number(value) else '"30s", "5m" or "1h30m"'
            raise invalid("not a duration", f"write it with a unit: {example}", got=value)
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise Invalid(Fault(f"{error} (got {show(value)})")) from error
        if seconds < minimum:
            raise invalid("too short", f"the least is {format_duration(minimum)}", got=value)
        return seconds

    return convert


def percent(value: object) -> int:
    """Take a whole percentage from "0%" to "100%", as an integer."""
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,3})%", value, re.ASCII)):
        number = int(match[1])
        if number <= 100:
            return number
    expected = f'write "{value}%"' if _is_number(value) else 'expected "0%" to "100%"'
    raise invalid("not a percentage", expected, got=value)


def sub_path(value: object) -> str:
    """Take a folder in a repository; slashes at the ends, doubled ones and ``.`` say nothing."""
    given = text(value)
    parts = [part for part in given.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise invalid('leads out of the repository with ".."', "name a folder in it", got=given)
    return "/".join(parts)


def ignore_pattern(value: object) -> str:
    """Take one gitignore pattern."""
    from pathspec import GitIgnoreSpec  # late: few tracks have patterns

    given = text(value)
    if not given.strip() or given.startswith("#"):
        what = "a comment, which a list has no use for" if given.strip() else "empty"
        raise invalid(what, f"expected {_PATTERN}", got=given)
    try:
        GitIgnoreSpec.from_lines([given], backend="simple")
    except ValueError as error:
        raise invalid("not a gitignore pattern", f"expected {_PATTERN}", got=given) from error
    return given


def listing(item: Converter, *, example: str) -> Converter:
    """Return a converter that takes a list, each element by ``item``, and returns a tuple."""

    def convert(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid("not a list", f"expected one such as {example}", got=value)
        found, faults = [], []
        for index, element in enumerate(value):
            try:
                found.append(item(element))
            except Invalid as error:
                faults += [Fault(fault.message, (index, *fault.path)) for fault in error.faults]
        if faults:
            raise Invalid(*faults)
        return tuple(found)

    return convert


def ignored_resource(value: object) -> IgnoredResource:
    """Take one ``<plural>.<group>/<version>``, split at the first dot (faros.md section 2)."""
    given = text(value)
    name, slash, version = given.partition("/")
    resource, dot, group = name.partition(".")
    if slash and not dot and DNS_LABEL.fullmatch(name) and DNS_LABEL.fullmatch(version):
        hint = f'write "{name}./{version}" if you mean the core group'
        raise invalid("names no API group", hint, got=given)
    valid_group = not group or _DNS_SUBDOMAIN.fullmatch(group)
    if not (DNS_LABEL.fullmatch(resource) and valid_group and DNS_LABEL.fullmatch(version)):
        expected = "expected <plural>.<group>/<version> such as jobs.batch/v1 or secrets./v1"
        raise invalid("not a resource", expected, got=given)
    return IgnoredResource(resource, group, version)


ignored_resources = listing(ignored_resource, example='["jobs.batch/v1"]')
"""Takes a list of ``<plural>.<group>/<version>``."""


def kind(value: object) -> str:
    """Take ``Kind.group``, or ``Kind`` of the core group."""
    given = text(value)
    name, dot, group = given.partition(".")
    if not _KIND.fullmatch(name) or (dot and not _DNS_SUBDOMAIN.fullmatch(group)):
        expected = 'expected Kind.group such as "Deployment.apps", or "ConfigMap"'
        raise invalid("not a kind", expected, got=given)
    if _VERSION.fullmatch(group.partition(".")[0]):
        raise invalid("names a version", "leave it out: any version is meant", got=given)
    return given


def pointer(value: object) -> Pointer:
    """Take a JSON pointer to a field that may be left to others."""
    given = text(value)
    try:
        found = Pointer.parse(given)
    except ValueError as error:
        raise Invalid(Fault(f"{error} (got {show(given)})")) from error
    if reason := why_not_ignorable(found):
        raise Invalid(Fault(f"{reason} (got {show(given)})"))
    return found


def pointers(value: object) -> tuple[Pointer, ...]:
    """Take a list of at least one JSON pointer."""
    found: tuple[Pointer, ...] = listing(pointer, example='["/spec/replicas"]')(value)
    if not found:
        raise invalid("empty", 'expected at least one pointer such as "/spec/replicas"')
    return found


def credential_type(value: object) -> CredentialType:
    """Take the name of a credential's type."""
    try:
        return CredentialType(text(value))
    except ValueError as error:
        expected = f"expected one of {', '.join(CredentialType)}"
        raise invalid("not a type of credential", expected) from error


def election_mode(value: object) -> ElectionMode:
    """Take the name of a mode of leader election."""
    given = text(value)
    try:
        return ElectionMode(given)
    except ValueError as error:
        expected = f'expected "{ElectionMode.AGENT}" or "{ElectionMode.TRACK}"'
        raise invalid("not a mode", expected, got=given) from error


def lease_name(value: object) -> str:
    """Take the name of a Lease, with room for ``.`` and a track's name, or the empty string."""
    given = text(value)
    if given and (len(given) > _LONGEST_LEASE_NAME or not _DNS_SUBDOMAIN.fullmatch(given)):
        expected = f"expected lower-case letters, digits, - and ., at most {_LONGEST_LEASE_NAME}"
        raise invalid("not a name of a Lease", expected, got=given)
    return given


def identity(value: object) -> str:
    """Take what a replica is called, or the empty string."""
    given = text(value)
    if len(given) > _LONGEST_IDENTITY:
        raise invalid("too long", f"at most {_LONGEST_IDENTITY} characters", got=given)
    return given


def verify_mode(value: object) -> VerifyMode:
    """Take the name of what has to be signed, as Flux writes it too (``TagAndHEAD``)."""
    given = text(value)
    for mode in VerifyMode:
        if given.lower().replace("-", "") == mode.value.replace("-", ""):
            return mode
    expected = f"expected one of {', '.join(show(mode.value) for mode in VerifyMode)}"
    raise invalid("not something that can be verified", expected, got=given)


def environment_name(value: object) -> str:
    """Take the name of an environment variable. What was found is not shown: it may be a key."""
    if not isinstance(value, str) or not _ENVIRONMENT_NAME.fullmatch(value):
        expected = "expected the variable's name; never write the secret itself here"
        raise invalid("not the name of an environment variable", expected)
    return value


@dataclass(frozen=True, slots=True)
class Paths:
    """Converters of paths: relative ones start at ``folder``, ``~/`` at ``home``."""

    folder: Path
    home: str

    def required(self, value: object) -> Path:
        """Take a path that is not empty."""
        if (path := self.optional(value)) is None:
            raise invalid("empty", "expected a path")
        return path

    def optional(self, value: object) -> Path | None:
        """Take a path, None for the empty string."""
        given = text(value)
        if not given:
            return None
        if self.home and (given == "~" or given.startswith("~/")):
            return Path(self.home, given[2:])
        return self.folder / given

    def of_secret(self, value: object) -> Path:
        """Take a path to a file with a secret; nothing found here is ever shown."""
        if not isinstance(value, str) or has_control(value) or "PRIVATE KEY" in value:
            raise invalid("not a path", "expected a file's; never write the secret itself here")
        return self.required(value)
