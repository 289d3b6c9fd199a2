"""Objects that another tool manages, told by the marks that tool leaves.

They are left alone unless the track says ``adopt = true``: two managers of one object fight.
"""

from __future__ import annotations

from typing import Final

from agent.manifest import marks
from agent.manifest.keys import JSONObject

_LABELS: Final = {
    "kustomize.toolkit.fluxcd.io/name": "Flux Kustomization",
    "helm.toolkit.fluxcd.io/name": "Flux HelmRelease",
    "argocd.argoproj.io/instance": "Argo CD application",
    "kapp.k14s.io/app": "kapp app",
}
_ANNOTATIONS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD application",
    "meta.helm.sh/release-name": "Helm release",
    "configsync.gke.io/resource-id": "Config Sync",
}


def manager_of(live: JSONObject, *, desired: JSONObject, applyset: str) -> str:
    """Return which other tool manages a live object, "" for none.

    ``applyset`` is our own id: the label of another ApplySet counts as foreign. A mark that git
    itself writes on the object (exported manifests carry them) says nothing.
    """
    for section, known in (("labels", _LABELS), ("annotations", _ANNOTATIONS)):
        have = live["metadata"].get(section) or {}
        wanted = desired["metadata"].get(section) or {}
        for name, tool in known.items():
            if name in have and name not in wanted:
                return f"{tool} {have[name]!r} ({name})"
    part_of = (live["metadata"].get("labels") or {}).get(marks.APPLYSET_PART_OF, "")
    return f"ApplySet {part_of}" if part_of not in ("", applyset) else ""
