"""What is in a trial's namespace, and what of it is wrong.

The measure is a trial of the same scenario without a kill: after a restart everything in the
namespace must be as it is there, objects, marks and inventory alike. Objects are looked for by
listing every kind whole, so that one whose marks are lost or wrong is found as well.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from agent.manifest import marks
from tests.controlplane.rest import RestClient
from tests.integration.crash.scenarios import Address, Scenario

FOLDERS = {
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "deployments": "/apis/apps/v1",
}

_OF_THE_MOMENT = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink")
_OF_THE_COMMIT = ("commit", "revision", "repository")


@dataclass(frozen=True, slots=True)
class Live:
    """A live object: which one, in which version, and what can be compared between trials."""

    uid: str
    version: str
    content: str


State = Mapping[Address, Live]


def look(client: RestClient, namespace: str, *, rename: Mapping[str, str]) -> State:
    """Return what is in a namespace. ``rename`` maps what only this trial has to common words."""
    state: dict[Address, Live] = {}
    for plural, folder in FOLDERS.items():
        text = client.text("GET", f"{folder}/namespaces/{namespace}/{plural}")
        for own, common in rename.items():
            text = text.replace(own, common)
        for obj in json.loads(text)["items"]:
            metadata = obj["metadata"]
            state[plural, metadata["name"]] = Live(
                metadata["uid"], metadata["resourceVersion"], _content(obj)
            )
    del state["serviceaccounts", "default"]
    return state


def _content(obj: dict[str, Any]) -> str:
    """Render what does not differ between trials by its nature, a line a value."""
    obj.pop("status", None)
    metadata = obj["metadata"]
    for name in _OF_THE_MOMENT:
        metadata.pop(name, None)
    annotations = metadata.get("annotations", {})
    if "data" in obj and obj.get("type") and marks.LAST_APPLIED in annotations:
        annotations[marks.LAST_APPLIED] = "a Secret's holds digests, by a key that is random"
    if status := obj.get("data", {}).get("status"):
        obj["data"]["status"] = _comparable_status(json.loads(status))
    return json.dumps(obj, indent=1, sort_keys=True)


def _comparable_status(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**c, "lastTransitionTime": ""} for c in status["conditions"]]
    rest = {name: value for name, value in status.items() if name not in _OF_THE_COMMIT}
    return {**rest, "conditions": conditions}


def judge(
    scenario: Scenario,
    *,
    before: State,
    after: State,
    wanted: State,
    not_ours: Collection[Address],
) -> list[str]:
    """Return what is wrong, a line a fault.

    ``before`` is the state before the pass that was killed, ``wanted`` that after one that was
    not; ``not_ours`` are the objects that no pass may touch.
    """
    faults = [f"leaked: {_text(found)}" for found in sorted(after.keys() - wanted.keys())]
    faults += [f"missing: {_text(lost)}" for lost in sorted(wanted.keys() - after.keys())]
    for found in sorted(before.keys() & after.keys()):
        if found in not_ours and before[found] != after[found]:
            faults.append(f"touched, and not ours: {_text(found)}")
        elif before[found].uid != after[found].uid and found not in scenario.may_be_deleted:
            faults.append(f"deleted and made again: {_text(found)}")
    for found in sorted(wanted.keys() & after.keys()):
        if difference := _difference(wanted[found].content, after[found].content):
            faults.append(f"not as without a kill: {_text(found)}\n{difference}")
    return faults


def _difference(wanted: str, found: str) -> str:
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), n=0, lineterm="")
    return "\n".join(list(lines)[2:])


def _text(found: Address) -> str:
    return "/".join(found)
