"""nginx with TLS in front of git-http-backend (through fcgiwrap), with optional basic auth."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.gitservers.ports import free_port, wait_until_listening

_CONFIG = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format requests '$request_method $request_uri $status';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  proxy_temp_path {folder}/proxy;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    location / {{
      {auth}
      fastcgi_pass unix:{folder}/fcgiwrap.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_CONFIG_COUNT 1;
      fastcgi_param GIT_CONFIG_KEY_0 safe.directory;
      fastcgi_param GIT_CONFIG_VALUE_0 *;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param REMOTE_USER $remote_user;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the test, and a certificate for 127.0.0.1 it signed."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """Make both with openssl in ``folder``."""
        authority = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        ca_key = folder / "ca.key"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        _openssl("req", "-x509", *curve, "-keyout", str(ca_key), "-out", str(authority.ca),
                 "-subj", "/CN=Test CA", "-days", "2")  # fmt: skip
        _openssl("req", "-x509", *curve, "-keyout", str(authority.key), "-days", "2",
                 "-out", str(authority.certificate), "-subj", "/CN=localhost",
                 "-CA", str(authority.ca), "-CAkey", str(ca_key),
                 "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                 "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip
        return authority


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=True)
    return done.stdout.decode().strip()


class HttpsServer:
    """Serves every repository below ``root``; ``users`` maps a name to a password."""

    def __init__(self, folder: Path, root: Path, users: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.folder = folder
        self.authority = Authority.create(folder)
        self._root = root
        self._users = users or {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def url(self, repository: Path) -> str:
        """Return the https URL of a repository below the root."""
        return f"https://127.0.0.1:{self.port}/{repository.relative_to(self._root)}"

    def requests(self) -> list[str]:
        """Return the requests answered so far: ``GET /app.git/info/refs?... 200``."""
        return (self.folder / "access.log").read_text().splitlines()

    def start(self) -> None:
        """Start fcgiwrap and nginx; return when nginx accepts connections."""
        config = self.folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                root=self._root,
                port=self.port,
                auth=self._auth(),
                user="user root;" if os.geteuid() == 0 else "",
            )
        )
        socket = self.folder / "fcgiwrap.sock"
        socket.unlink(missing_ok=True)
        fcgiwrap = ["fcgiwrap", "-c", "1", "-s", f"unix:{socket}"]
        nginx = ["/usr/sbin/nginx", "-p", str(self.folder), "-c", str(config)]
        with (self.folder / "output.log").open("ab") as output:
            for command in (fcgiwrap, nginx):
                process = subprocess.Popen(
                    command, stdout=output, stderr=output, start_new_session=True
                )
                self._processes.append(process)
        wait_until_listening(self.port, self._processes[-1])

    def stop(self) -> None:
        """Stop both and wait for them."""
        while self._processes:
            process = self._processes.pop()
            os.killpg(process.pid, signal.SIGTERM)  # fcgiwrap's children outlive it otherwise
            process.wait(10)

    def _auth(self) -> str:
        if not self._users:
            return ""
        lines = [f"{n}:{_openssl('passwd', '-apr1', p)}\n" for n, p in self._users.items()]
        (self.folder / "users").write_text("".join(lines))
        return f"auth_basic git; auth_basic_user_file {self.folder}/users;"
