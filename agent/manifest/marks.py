"""Names of the labels and annotations this agent, Faros and kubectl leave on live objects.

The only place that spells them. They are ours to write: a manifest that carries one was pasted
from a live object, and ``load`` takes it out.
"""

from __future__ import annotations

APPLYSET_PART_OF = "applyset.kubernetes.io/part-of"
"""Label: the ApplySet (the track's inventory) an object belongs to, KEP-3659."""

AGENT = "lightkeeper.dev/agent"
"""Label: the agent that manages an object; the selector of every watch."""

OWNER = "lightkeeper.dev/owner"
"""Annotation: track and object, so that a copy of an object is not taken for ours."""

LAST_APPLIED = "lightkeeper.dev/last-applied-configuration"
"""Annotation: what git said when the object was last applied."""

KUBECTL_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation: the same, written by kubectl apply."""

FAROS_LAST_APPLIED = "faros.pusher.com/last-applied-configuration"
"""Annotation: the same, written by Faros."""

LAST_APPLIED_ANNOTATIONS = (LAST_APPLIED, KUBECTL_LAST_APPLIED, FAROS_LAST_APPLIED)
"""Every last-applied annotation; each may hold a whole object, Secrets included."""

MARK_LABELS = (APPLYSET_PART_OF, AGENT)
MARK_ANNOTATIONS = (OWNER, *LAST_APPLIED_ANNOTATIONS)
