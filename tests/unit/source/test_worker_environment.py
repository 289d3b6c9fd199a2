"""What a worker process inherits: what it needs, and nothing that may be a secret."""

from __future__ import annotations

import sys

import pytest

from agent.source.pool import worker_command, worker_environment

_ENVIRON = {
    "PATH": "/bin",
    "TOKEN": "hunter2",
    "LIGHTKEEPER_DEPLOY_KEY": "hunter2",
    "https_proxy": "http://ada:hunter2@proxy",
    "LD_LIBRARY_PATH": "/mine",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "SSL_CERT_DIR": "/etc/certs",
}


def test_no_secret_of_the_agents_environment_reaches_a_worker() -> None:
    assert "hunter2" not in str(worker_environment(_ENVIRON))


def test_a_frozen_agents_workers_use_what_it_has_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", "/unpacked", raising=False)
    environment = worker_environment(_ENVIRON | {"_PYI_APPLICATION_HOME_DIR": "/unpacked"})
    assert environment["_PYI_APPLICATION_HOME_DIR"] == "/unpacked"
    assert environment["LD_LIBRARY_PATH"] == "/unpacked:/mine"
    assert worker_command() == [sys.executable, "git-worker"]
