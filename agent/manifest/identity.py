"""What makes a decoded value a Kubernetes object: kind, apiVersion, name, namespace.

Duty: the object's key, or one error that says what was found instead and what to do.
Must not: validate anything else (the server does), nor default the namespace (discovery knows
the scope, so a later layer does).
"""

from __future__ import annotations

import re
from typing import Any

from agent.errors import AgentError
from agent.manifest.keys import GroupVersionKind, JSONObject, ObjectKey
from agent.manifest.places import Path

_API_VERSION = re.compile(r"(?:[a-zA-Z0-9][-a-zA-Z0-9.]*/)?[a-zA-Z0-9][-a-zA-Z0-9]*")
_KIND = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_NOT_IN_A_NAME = re.compile(r"[/%\x00-\x20\x7f]|^\.\.?$")
_TYPES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a mapping",
}
_SHOWN_KEYS, _SHOWN_CHARS = 5, 40

_ADVICE = "every manifest under sub-path must be a Kubernetes object: move this file elsewhere"


class IdentityError(AgentError):
    """A value that names no Kubernetes object; ``path`` is where in the value the problem is."""

    def __init__(self, reason: str, path: Path = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


def identify(value: Any, *, file: str) -> tuple[GroupVersionKind, ObjectKey]:
    """Return the kind and the key an object says it has; ``file`` is for hints only.

    The namespace is as written, "" if it is not. IdentityError if the value is no object, or a
    part of its identity is missing, not a string, or cannot stand in a URL.
    """
    obj = require_kind(value, file=file)
    api_version = _required(obj, "apiVersion")
    if not _API_VERSION.fullmatch(api_version):
        raise IdentityError(
            f"apiVersion {_shown(api_version)} is not group/version", ("apiVersion",)
        )
    gvk = GroupVersionKind.parse(api_version, obj["kind"])
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise IdentityError(f"{gvk}: {_missing('metadata', metadata, 'a mapping')}", ("metadata",))
    for field in ("labels", "annotations"):
        if not isinstance(metadata.get(field), dict | None):
            reason = f"{gvk}: {_missing(f'metadata.{field}', metadata[field], 'a mapping')}"
            raise IdentityError(reason, ("metadata", field))
    name = _name(metadata, gvk)
    namespace = metadata.get("namespace")
    if namespace is None:
        namespace = ""
    _check_name("namespace", namespace, gvk)
    return gvk, ObjectKey.of(gvk, namespace=namespace, name=name)


def require_kind(value: Any, *, file: str) -> JSONObject:
    """Return the value if it is a mapping with a kind; IdentityError if not."""
    if not isinstance(value, dict):
        raise IdentityError(f"not a Kubernetes object but {_type_of(value)}; {_ADVICE}")
    if value.get("kind") in (None, ""):
        found = ", ".join(key[:_SHOWN_CHARS] for key in list(value)[:_SHOWN_KEYS])
        more = ", …" if len(value) > _SHOWN_KEYS else ""
        raise IdentityError(
            f"not a Kubernetes object: no 'kind' (found keys: {found or 'none'}{more})"
            f"{_file_hint(file)}; {_ADVICE}"
        )
    kind = _required(value, "kind")
    if not _KIND.fullmatch(kind):
        raise IdentityError(f"kind {_shown(kind)} is not the name of a kind", ("kind",))
    return value


def _name(metadata: JSONObject, gvk: GroupVersionKind) -> str:
    name = metadata.get("name")
    if name in (None, ""):
        reason = f"{gvk}: metadata.name is missing"
        if metadata.get("generateName"):
            reason = (
                f"{gvk}: metadata.generateName makes a new object at every apply, so git cannot"
                " describe it: give it a metadata.name"
            )
        elif gvk.group == "kustomize.config.k8s.io":
            reason += f": a kustomization is not an object of the cluster; {_ADVICE}"
        raise IdentityError(reason, ("metadata",))
    return _check_name("name", name, gvk)


def _check_name(field: str, value: Any, gvk: GroupVersionKind) -> str:
    """Return a name or namespace that is a string and one segment of a URL."""
    if not isinstance(value, str):
        reason = f"{gvk}: metadata.{field} is {_described(value)}, not a string: quote it"
        raise IdentityError(reason, ("metadata", field))
    if _NOT_IN_A_NAME.search(value):
        raise IdentityError(
            f"{gvk}: metadata.{field} {_shown(value)} cannot be the {field} of an object",
            ("metadata", field),
        )
    return value


def _required(obj: JSONObject, field: str) -> str:
    value = obj.get(field)
    if not isinstance(value, str) or not value:
        raise IdentityError(_missing(field, value, "a string"), (field,))
    return value


def _missing(field: str, value: Any, wanted: str) -> str:
    if value in (None, ""):
        return f"{field} is missing"
    return f"{field} is {_described(value)}, not {wanted}"


def _type_of(value: Any) -> str:
    """Say what a value is and not what is in it: a file that is no manifest may be a secret."""
    return _TYPES.get(type(value), "null")


def _described(value: Any) -> str:
    """Say what a field of the identity is; such a field is no secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return _type_of(value)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")


def _file_hint(file: str) -> str:
    name = file.rpartition("/")[2].lower()
    if name.startswith("kustomization."):
        return "; this is a kustomization, which is not built here"
    if name.startswith("values") or name in ("chart.yaml", "chart.lock"):
        return "; this looks like a part of a Helm chart, which is not rendered here"
    return ""
