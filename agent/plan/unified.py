"""Two states of an object as a unified diff of YAML, as ``kubectl diff`` shows them. Pure.

Left out is what nobody decides on: volatile metadata, status, our own marks, last-applied
annotations. Values of Secrets are never shown, only that they differ.
"""

from __future__ import annotations

import difflib
from typing import Any, Final

import yaml

from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.manifest.redact import MASK, redact
from agent.plan.merge.normalise import is_secret
from agent.plan.merge.values import as_map
from agent.plan.ownership import settled

BEFORE: Final = f"{MASK} (before)"
AFTER: Final = f"{MASK} (after)"

_CONTEXT = 3  # lines, diff -u's default


def unified(
    before: JSONObject | None, after: JSONObject | None, *, name: str, has_status: bool
) -> list[str]:
    """Return the lines of the diff, none when the states are the same to a reader.

    None stands for an object that is not there. ``has_status`` tells that status is a subresource.
    """
    return list(
        difflib.unified_diff(
            _lines(before, has_status=has_status, changed=_changed(before, after, BEFORE)),
            _lines(after, has_status=has_status, changed=_changed(before, after, AFTER)),
            fromfile=f"live/{name}",
            tofile=f"git/{name}",
            n=_CONTEXT,
            lineterm="",
        )
    )


def shown(obj: JSONObject, *, has_status: bool) -> JSONObject:
    """Return the parts of an object that a person wants to see, its secrets masked."""
    kept = settled(redact(obj), has_status=has_status)
    metadata = {name: value for name, value in kept["metadata"].items() if name != "uid"}
    for section, ours in (("labels", marks.MARK_LABELS), ("annotations", marks.MARK_ANNOTATIONS)):
        rest = {n: v for n, v in as_map(metadata.pop(section, None)).items() if n not in ours}
        if rest:
            metadata[section] = rest
    return {**kept, "metadata": metadata}


def _changed(before: JSONObject | None, after: JSONObject | None, mask: str) -> JSONObject:
    """Return the mask for each value of a Secret that differs, by section and name."""
    if before is None or after is None or not (is_secret(before) and is_secret(after)):
        return {}
    found = {}
    for section in ("data", "stringData"):
        one, other = as_map(before.get(section)), as_map(after.get(section))
        differing = [name for name in one.keys() & other.keys() if one[name] != other[name]]
        if differing:
            found[section] = dict.fromkeys(differing, mask)
    return found


def _lines(obj: JSONObject | None, *, has_status: bool, changed: JSONObject) -> list[str]:
    """Return an object's YAML, with these masks in place of its values."""
    if obj is None:
        return []
    visible = shown(obj, has_status=has_status)
    for section, masks in changed.items():
        visible[section] = {**visible[section], **masks}
    text = yaml.dump(
        visible, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=10_000
    )
    return text.splitlines()


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, so that a diff shows the line that differs."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
