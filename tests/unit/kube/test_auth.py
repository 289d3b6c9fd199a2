"""A kubeconfig whose user logs in with OpenID Connect: its token is used, and never refreshed."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.kube import auth
from agent.kube.errors import AuthError

pytestmark = pytest.mark.asyncio


@pytest.fixture
def issuer() -> Iterator[socket.socket]:
    """Where somebody listens who may or may not be the issuer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def _token(*, expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(expires)}).encode()).rstrip(b"=")
    return f"e30.{claims.decode()}.c2lnbmF0dXJl"


def _kubeconfig(folder: Path, issuer: socket.socket, **settings: str) -> Path:
    user: dict[str, Any] = {
        "client-id": "lightkeeper",
        "client-secret": "s3cret-c4nary",
        "idp-issuer-url": f"https://127.0.0.1:{issuer.getsockname()[1]}",
        "refresh-token": "r3fresh-c4nary",
    }
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [
                    {
                        "name": "u",
                        "user": {"auth-provider": {"name": "oidc", "config": user | settings}},
                    }
                ],
            }
        )
    )
    return path


async def test_a_token_that_has_not_expired_is_sent(tmp_path: Path, issuer: socket.socket) -> None:
    token = _token(expires=time.time() + 3600)
    path = _kubeconfig(tmp_path, issuer, **{"id-token": token})
    access = await auth.load(kubeconfig=str(path))
    assert access.authorization() == f"Bearer {token}"


@pytest.mark.parametrize("settings", [{}, {"id-token": _token(expires=1)}], ids=["none", "expired"])
async def test_one_that_has_is_not_refreshed_with_a_server_that_is_not_verified(
    tmp_path: Path, issuer: socket.socket, settings: dict[str, str]
) -> None:
    path = _kubeconfig(tmp_path, issuer, **settings)
    before = path.read_text()
    with pytest.raises(AuthError, match=r"oidc is missing or has expired.*run kubectl") as caught:
        await auth.load(kubeconfig=str(path))
    assert str(path) in str(caught.value)
    assert "c4nary" not in str(caught.value)
    assert path.read_text() == before
    with pytest.raises(BlockingIOError):
        issuer.accept()
