"""Who is it, and may they: TokenReview and SubjectAccessReview, as kube-rbac-proxy asks them.

Keeps nothing, and never puts a token into an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.kube.client import Client
from agent.kube.fence import OPEN
from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject


def _resource(group: str, kind: str, plural: str) -> Resource:
    verbs = frozenset({"create"})
    return Resource(group, "v1", kind, plural, namespaced=False, verbs=verbs, has_status=False)


_TOKEN_REVIEW = _resource("authentication.k8s.io", "TokenReview", "tokenreviews")
_ACCESS_REVIEW = _resource("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews")


@dataclass(frozen=True, slots=True)
class User:
    """Who a token stands for, in the words of a SubjectAccessReview."""

    spec: JSONObject


async def authenticate(client: Client, token: str) -> User | None:
    """Return whose token it is, None when the API server does not know it.

    Raises KubeError, for instance Forbidden without the right to create tokenreviews.
    """
    status = await _review(client, _TOKEN_REVIEW, {"token": token})
    found = status.get("user")
    if status.get("authenticated") is not True or not isinstance(found, dict):
        return None
    spec = {name: found[key] for name, key in _NAMES.items() if found.get(key)}
    return User(spec)


_NAMES = {"user": "username", "groups": "groups", "uid": "uid", "extra": "extra"}


async def may(client: Client, user: User, *, path: str, verb: str) -> bool:
    """Tell whether RBAC, or whatever authorizes there, lets a user do ``verb`` on a URL path.

    Raises KubeError.
    """
    asked = {**user.spec, "nonResourceAttributes": {"path": path, "verb": verb}}
    status = await _review(client, _ACCESS_REVIEW, asked)
    return status.get("allowed") is True and status.get("denied") is not True


async def _review(client: Client, resource: Resource, spec: JSONObject) -> dict[str, Any]:
    review = {"apiVersion": resource.gvk.api_version, "kind": resource.kind, "spec": spec}
    # A POST that stores nothing needs no Lease: a standby has readers, too.
    answer = await client.under(OPEN).create(resource, review, namespace="")
    status = answer.get("status")
    return status if isinstance(status, dict) else {}
