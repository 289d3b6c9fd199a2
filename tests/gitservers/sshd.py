"""A private sshd that lets one key run git-upload-pack, and records what clients asked for."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

from tests.gitservers.ports import free_port, wait_until_listening

_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_ed25519
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
ForceCommand {folder}/serve
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
"""

_SERVE = """#!/bin/sh
export GIT_TRACE_PACKET={folder}/packets.log
export GIT_CONFIG_GLOBAL=/dev/null
echo "$SSH_ORIGINAL_COMMAND" >> {folder}/commands.log
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""


def generate_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make an OpenSSH key pair at ``path`` and ``path``.pub; return ``path``."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


class SshServer:
    """sshd on a free port; ``client_key`` is the private key it lets in."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.user = getpass.getuser()
        self.client_key = generate_key(folder / "client_ed25519")
        self._host_key = generate_key(folder / "host_ed25519")
        self._process: subprocess.Popen[bytes] | None = None
        self.authorize(self.client_key)

    @property
    def known_hosts(self) -> str:
        """The line of known_hosts that names this server and its key."""
        return self.known_hosts_with(self._host_key)

    def known_hosts_with(self, key: Path) -> str:
        """Return a line of known_hosts that claims ``key`` to be this server's."""
        kind, blob = key.with_name(f"{key.name}.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {blob}\n"

    def authorize(self, *keys: Path) -> None:
        """Let in these keys and no other."""
        public = [key.with_name(f"{key.name}.pub").read_text() for key in keys]
        (self.folder / "authorized_keys").write_text("".join(public))

    def renew_host_key(self) -> None:
        """Come back as another server on the same port, as after a reinstallation."""
        self.stop()
        self._host_key.unlink()
        self._host_key = generate_key(self._host_key)
        self.start()

    def url(self, repository: Path) -> str:
        """Return the ssh URL of a repository."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{repository}"

    def commands(self) -> list[str]:
        """Return the command of each session so far."""
        log = self.folder / "commands.log"
        return log.read_text().splitlines() if log.exists() else []

    def wants(self) -> int:
        """Return how many objects clients asked for so far: zero while refs were only listed."""
        log = self.folder / "packets.log"
        return log.read_text().count("upload-pack< want ") if log.exists() else 0

    def start(self) -> None:
        """Start sshd; return when it accepts connections."""
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own privilege separation folder
        config = self.folder / "sshd_config"
        config.write_text(_CONFIG.format(folder=self.folder, port=self.port))
        serve = self.folder / "serve"
        serve.write_text(_SERVE.format(folder=self.folder))
        serve.chmod(0o755)
        command = ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(self.folder / "sshd.log")]
        self._process = subprocess.Popen(command)
        wait_until_listening(self.port, self._process)

    def stop(self) -> None:
        """Stop sshd and wait for it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
