"""How a client gets in: kubeconfig files and the server's token file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.controlplane.pki import KeyPair


def write_kubeconfig(path: Path, *, url: str, ca: Path, user: dict[str, str]) -> Path:
    """Write a kubeconfig with one cluster, one user and one context, readable by its owner only.

    Everything is inline, so that the file can be copied. JSON is YAML: no library is needed.
    """
    cluster = {"server": url, "certificate-authority-data": _encoded(ca)}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path


def token_user(token: str) -> dict[str, str]:
    """The kubeconfig user that presents a bearer token."""
    return {"token": token}


def certificate_user(pair: KeyPair) -> dict[str, str]:
    """The kubeconfig user that presents a client certificate."""
    return {
        "client-certificate-data": _encoded(pair.certificate),
        "client-key-data": _encoded(pair.key),
    }


def write_token_file(path: Path, token: str) -> Path:
    """Write the server's static token file: one administrator, beyond the reach of RBAC."""
    path.touch(mode=0o600)
    path.write_text(f'{token},admin,admin,"system:masters"\n')
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
