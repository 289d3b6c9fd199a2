"""One Secret at a time: what a track's credentials are kept in. Never lists, never watches."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from agent.kube.client import Client
from agent.kube.errors import TransportError
from agent.kube.resource import Resource

SECRETS: Final = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    namespaced=True,
    verbs=frozenset({"get"}),
    has_status=False,
)


async def read_secret(client: Client, *, namespace: str, name: str) -> dict[str, bytes]:
    """Return a Secret's decoded data; needs the right to get this one Secret and no other.

    Raises NotFound, Forbidden and the other KubeErrors; none quotes a value.
    """
    secret = await client.get(SECRETS, namespace=namespace, name=name)
    data = secret.get("data") or {}
    try:
        return {key: base64.b64decode(value) for key, value in data.items()}
    except (AttributeError, TypeError, binascii.Error):
        raise TransportError(f"the data of Secret {namespace}/{name} is not base64") from None
