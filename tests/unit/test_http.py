"""aiohttp is imported without reading the authorities this machine trusts, and safely so."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ssl
from agent.cli.main import main
main(["run", "--config", "missing.toml"])
from aiohttp import connector
theirs = connector._SSL_CONTEXT_VERIFIED
print(theirs.cert_store_stats()["x509"], theirs.verify_mode.name, theirs.check_hostname)
print(ssl.create_default_context.__module__)
"""


def test_the_context_that_nobody_uses_trusts_nobody_and_pythons_own_is_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["0 CERT_REQUIRED True", "ssl"]
