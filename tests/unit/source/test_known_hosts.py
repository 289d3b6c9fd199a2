"""known_hosts: which files count, and which keys of a host they trust."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.source.login.known_hosts import (
    host_entry,
    keyscan_command,
    machine_known_hosts,
    trusted_keys,
)

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


_OTHER = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDc"
_ENTRY = "[127.0.0.1]:4022"


@pytest.mark.parametrize(
    ("lines", "host", "port", "keys"),
    [
        pytest.param([f"b.org {_KEY}"], "b.org", None, [_KEY], id="plain"),
        pytest.param([f"b.org {_KEY} a comment"], "b.org", None, [_KEY], id="comment-after-key"),
        pytest.param([f"b.org {_KEY}"], "b.org", 22, [_KEY], id="port-22"),
        pytest.param([f"b.org {_KEY}"], "b.org", 2222, [_KEY], id="bare-host-for-any-port"),
        pytest.param(
            [f"b.org {_KEY}", f"[b.org]:2222 {_OTHER}"], "b.org", 2222, [_OTHER], id="port-first"
        ),
        pytest.param([f"[b.org]:2222 {_KEY}"], "b.org", None, [], id="other-port"),
        pytest.param([f"a.org,b.org {_KEY}"], "b.org", None, [_KEY], id="list"),
        pytest.param([f"*.ORG {_KEY}"], "b.org", None, [_KEY], id="wildcard"),
        pytest.param([f"*.org,!b.org {_KEY}"], "b.org", None, [], id="negated"),
        pytest.param([f"b.org {_KEY}", f"b.org {_OTHER}"], "b.org", None, [_KEY, _OTHER], id="two"),
        pytest.param([f"@revoked b.org {_KEY}"], "b.org", None, [], id="revoked"),
        pytest.param([f"b.org {_KEY}", f"@revoked * {_KEY}"], "b.org", None, [], id="revoked-too"),
        pytest.param([f"@cert-authority *.org {_KEY}"], "b.org", None, [], id="authority"),
        pytest.param([f"# b.org {_KEY}"], "b.org", None, [], id="commented-out"),
        pytest.param(["b.org", ""], "b.org", None, [], id="no-key"),
        pytest.param([f"|1|nonsense {_KEY}"], "b.org", None, [], id="broken-hash"),
        pytest.param([f"2001:db8::1 {_KEY}"], "2001:db8::1", None, [_KEY], id="ipv6"),
    ],
)
def test_a_hosts_keys_are_trusted_under_another_name(
    lines: list[str], host: str, port: int | None, keys: list[str]
) -> None:
    trusted = trusted_keys("\n".join(lines), host, port, entry=_ENTRY)
    assert trusted.splitlines() == [f"{_ENTRY} {key}" for key in keys]


def test_a_hashed_file_names_its_hosts_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"[example.org]:2222 {_KEY}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    text = file.read_text()
    assert text.startswith("|1|")
    assert trusted_keys(text, "example.org", 2222, entry="here") == f"here {_KEY}\n"
    assert trusted_keys(text, "example.org", None, entry="here") == ""


def test_the_machines_files_are_home_then_system(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text("home")
    system = tmp_path / "system"
    system.write_text("system\n")
    home = {"HOME": str(tmp_path)}
    assert machine_known_hosts(home, system=system) == "home\nsystem\n"
    assert machine_known_hosts({}, system=tmp_path / "none") == ""


def test_a_variable_replaces_the_machines_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("a\n")
    second.write_text("b\n")
    environ = {"SSH_KNOWN_HOSTS": f"{first}:{second}:/nowhere", "HOME": str(tmp_path)}
    assert machine_known_hosts(environ, system=first) == "a\nb\n"


def test_a_host_off_port_22_is_written_with_its_port() -> None:
    assert host_entry("h", 2222) == "[h]:2222"
    assert keyscan_command("h", 2222) == "ssh-keyscan -p 2222 h"
    assert keyscan_command("h", None) == "ssh-keyscan h"
