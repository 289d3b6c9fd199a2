"""known_hosts: which files count, and whether a host is named in one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.source.known_hosts import host_entry, keyscan_command, machine_known_hosts, names_host

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


@pytest.mark.parametrize(
    ("line", "host", "port", "named"),
    [
        pytest.param(f"example.org {_KEY}", "example.org", None, True, id="plain"),
        pytest.param(f"example.org {_KEY}", "example.org", 22, True, id="port-22"),
        pytest.param(f"example.org {_KEY}", "example.org", 2222, False, id="other-port"),
        pytest.param(f"[example.org]:2222 {_KEY}", "example.org", 2222, True, id="with-port"),
        pytest.param(f"a.org,b.org {_KEY}", "b.org", None, True, id="list"),
        pytest.param(f"*.org {_KEY}", "b.org", None, True, id="wildcard"),
        pytest.param(f"@revoked b.org {_KEY}", "b.org", None, True, id="marker"),
        pytest.param(f"# b.org {_KEY}", "b.org", None, False, id="comment"),
        pytest.param("b.org", "b.org", None, False, id="no-key"),
        pytest.param(f"|1|nonsense {_KEY}", "b.org", None, False, id="broken-hash"),
    ],
)
def test_a_line_names_a_host(line: str, host: str, port: int | None, named: bool) -> None:
    assert names_host(f"{line}\n", host, port) is named


def test_a_hashed_file_names_its_hosts_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"[example.org]:2222 {_KEY}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    text = file.read_text()
    assert text.startswith("|1|")
    assert names_host(text, "example.org", 2222)
    assert not names_host(text, "example.org", None)


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
