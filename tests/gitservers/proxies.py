"""Real proxies on loopback: tinyproxy (HTTP), microsocks (SOCKS 5), OpenSSH's own (SOCKS 4)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.gitservers.ports import free_port, wait_until_listening
from tests.gitservers.sshd import SshServer

USER, PASSWORD = "proxy-user", "pr0xy-c4nary"

_TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
Allow 127.0.0.1
BasicAuth {user} {password}
LogFile "{folder}/tinyproxy.log"
LogLevel Connect
"""


class ProxyServer:
    """A proxy on a free port that asks for USER and PASSWORD, save SOCKS 4, which knows none.

    ``kind`` is http, socks5 or socks4; the last leads through ``ssh_server``.
    """

    def __init__(self, kind: str, folder: Path, ssh_server: SshServer | None = None) -> None:
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self._log = folder / f"{kind}.log"
        self._ssh_server = ssh_server
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, *, scheme: str = "", password: str = PASSWORD) -> str:
        """Return its URL as a user writes it."""
        userinfo = "" if self.kind == "socks4" else f"{USER}:{password}@"
        return f"{scheme or self.kind}://{userinfo}127.0.0.1:{self.port}"

    def connections(self) -> int:
        """Return how many connections it led on so far."""
        word = {"http": "Established connection to host", "socks5": "connected to"}
        log = self._folder / "tinyproxy.log" if self.kind == "http" else self._log
        return log.read_text().count(word.get(self.kind, "channel"))

    def start(self) -> None:
        """Start it; return when it accepts connections."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command(), stdout=output, stderr=output)
        wait_until_listening(self.port, self._process)

    def stop(self) -> None:
        """Stop it and wait for it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _command(self) -> list[str]:
        if self.kind == "http":
            config = self._folder / "tinyproxy.conf"
            config.write_text(
                _TINYPROXY.format(port=self.port, user=USER, password=PASSWORD, folder=self._folder)
            )
            return ["tinyproxy", "-d", "-c", str(config)]
        if self.kind == "socks5":
            address = ["-i", "127.0.0.1", "-p", str(self.port)]
            return ["microsocks", *address, "-u", USER, "-P", PASSWORD]
        if self._ssh_server is None:
            raise RuntimeError("SOCKS 4 leads through an ssh server")
        known_hosts = self._folder / "known_hosts"
        known_hosts.write_text(self._ssh_server.known_hosts)
        return [
            *("ssh", "-N", "-v", "-F", "none", "-i", str(self._ssh_server.client_key)),
            *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "BatchMode=yes"),
            *("-p", str(self._ssh_server.port), "-D", f"127.0.0.1:{self.port}"),
            f"{self._ssh_server.user}@127.0.0.1",
        ]
