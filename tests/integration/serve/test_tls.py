"""Metrics over TLS: verified, and rotated without a restart."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import aiohttp
import pytest

from agent.serve.errors import ServeError
from agent.serve.tls import Certificate
from tests.eventually import eventually
from tests.integration.serve.conftest import MANIFEST, Door, Pair

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]


async def test_metrics_are_served_with_the_certificate_and_not_without(
    door: Door, tmp_path: Path
) -> None:
    door.secure(Pair.make(tmp_path, "one"))
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        assert "lightkeeper_build_info" in (await door.metrics("/metrics")).text
        door.ca = None
        with pytest.raises(aiohttp.ClientError):
            await door.metrics("/metrics")


async def test_a_rotated_certificate_counts_at_once_and_a_broken_one_never(
    door: Door, tmp_path: Path
) -> None:
    used, other = Pair.make(tmp_path, "used"), Pair.make(tmp_path, "other")
    door.secure(used)
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        door.ca = Path(shutil.copy(used.cert, tmp_path / "first.crt"))
        assert (await door.metrics("/metrics")).status == 200
        shutil.copy(other.cert, used.cert)  # half of the pair: the old one goes on
        assert (await door.metrics("/metrics")).status == 200
        shutil.copy(other.key, used.key)
        with pytest.raises(aiohttp.ClientError):
            await door.metrics("/metrics")
        door.ca = other.cert
        assert (await door.metrics("/metrics")).status == 200


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda pair: pair.key.unlink(), "no such file or directory", id="missing"),
        pytest.param(lambda pair: pair.cert.write_text("none"), "not pem", id="not PEM"),
        pytest.param(
            lambda pair: shutil.copy(Pair.make(pair.key.parent, "b").key, pair.key),
            "key values mismatch",
            id="another's key",
        ),
    ],
)
async def test_a_pair_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, spoil: object, reason: str
) -> None:
    pair = Pair.make(tmp_path, "a")
    assert callable(spoil)
    spoil(pair)
    with pytest.raises(ServeError, match=reason) as raised:
        Certificate(pair.cert, pair.key)
    assert str(raised.value).startswith(f"metrics-cert-file {pair.cert}, metrics-key-file ")


async def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    pair = Pair.make(tmp_path, "a")
    assert Certificate(pair.cert, pair.key).context.minimum_version >= ssl.TLSVersion.TLSv1_2
