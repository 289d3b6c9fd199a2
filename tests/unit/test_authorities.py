"""Which certificate authorities count where nobody names any."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from agent import authorities


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_the_bundle_the_environment_names_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert authorities.locations() == {
        "cafile": str(tmp_path / "ca.pem"),
        "capath": str(tmp_path),
    }


def test_then_the_distributions_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tls-ca-bundle.pem").write_text("x")
    (tmp_path / "empty.pem").touch()
    places = (str(tmp_path / "none.pem"), str(tmp_path / "empty.pem"))
    monkeypatch.setattr(authorities, "_CA_FILES", (*places, str(tmp_path / "tls-ca-bundle.pem")))
    assert authorities.locations() == {
        "cafile": str(tmp_path / "tls-ca-bundle.pem"),
        "capath": None,
    }


def test_on_a_machine_without_any_certifis_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorities, "_CA_FILES", ())
    assert authorities.ca_file() == certifi.where()
