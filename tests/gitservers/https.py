"""nginx in front of git-http-backend (through fcgiwrap), with a port for each kind of login."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tests.gitservers.ports import free_port, wait_until_listening

Door = Literal[
    "basic", "bearer", "client", "expired", "misnamed", "anonymous", "plain", "version-0"
]
"""``basic`` asks for a user's password if there are users, ``bearer`` for TOKEN, ``client`` for a
certificate; ``expired`` and ``misnamed`` show such certificates; ``plain`` has no TLS;
``version-0`` speaks the oldest protocol only."""

TOKEN = "t0ken-c4nary"

_CONFIG = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format requests '$request_method $request_uri $status $request_length $bytes_sent '
                      '$http_git_protocol';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  proxy_temp_path {folder}/proxy;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {servers}
}}
"""

_SERVER = """
  server {{
    listen 127.0.0.1:{port} {tls};
    {inside}
    location / {{
      {auth}
      fastcgi_pass unix:{folder}/fcgiwrap.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_CONFIG_COUNT 1;
      fastcgi_param GIT_CONFIG_KEY_0 safe.directory;
      fastcgi_param GIT_CONFIG_VALUE_0 *;
      fastcgi_param GIT_PROTOCOL {protocol};
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param REMOTE_USER $remote_user;
    }}
    location = /page {{ default_type text/html; return 200 "<title>Log in</title>"; }}
    location /login/ {{ return 302 /page; }}
    location /moved/ {{ rewrite ^/moved/(.*) /$1 redirect; }}
    location /elsewhere/ {{ rewrite ^/elsewhere/(.*) https://localhost:{port}/$1 redirect; }}
    location /downgraded/ {{ rewrite ^/downgraded/(.*) http://127.0.0.1:{plain}/$1 redirect; }}
    location /broken/ {{ return 503 "<title>Down for the day</title>"; }}
    location /page/ {{ default_type text/html; return 200 "<title>Log in</title>"; }}
    location /dumb/ {{ default_type text/plain; return 200 ""; }}
  }}
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the test, and certificates it signed."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Its own certificate."""
        return self.folder / "ca.pem"

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """Make them with openssl in ``folder``: server, expired, misnamed, client (.pem, .key)."""
        authority = cls(folder)
        _openssl("req", "-x509", *_CURVE, "-keyout", str(folder / "ca.key"), "-days", "2",
                 "-out", str(authority.ca), "-subj", "/CN=Test CA")  # fmt: skip
        authority.sign("server")
        authority.sign("expired", days=-1)
        authority.sign("misnamed", names="DNS:git.example.org")
        authority.sign("client", names="DNS:client")
        return authority

    def sign(self, name: str, *, days: int = 2, names: str = "IP:127.0.0.1,DNS:localhost") -> None:
        """Make ``name``.pem and ``name``.key."""
        key, request, extensions = (
            str(self.folder / f"{name}.{kind}") for kind in ("key", "csr", "ext")
        )
        Path(extensions).write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
        _openssl("req", *_CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-out", str(self.folder / f"{name}.pem"),
                 "-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key"),
                 "-extfile", extensions, "-days", str(days))  # fmt: skip


_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=True)
    return done.stdout.decode().strip()


class HttpsServer:
    """Serves every repository below ``root``; ``users`` maps a name to a password."""

    def __init__(self, folder: Path, root: Path, users: dict[str, str] | None = None) -> None:
        self.ports: dict[Door, int] = {door: free_port() for door in get_args(Door)}
        self.folder = folder
        self.authority = Authority.create(folder)
        self._root = root
        self._users = users or {}
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def port(self) -> int:
        """The port of the ordinary door."""
        return self.ports["basic"]

    def url(self, repository: Path, door: Door = "basic") -> str:
        """Return the URL of a repository below the root."""
        scheme = "http" if door == "plain" else "https"
        return f"{scheme}://127.0.0.1:{self.ports[door]}/{repository.relative_to(self._root)}"

    def requests(self, repository: Path) -> list[str]:
        """Return the requests for a repository so far, with what of it they asked for:

        ``GET /info/refs?... 200 LENGTH SENT version=2``, the sizes in bytes with headers.
        """
        at = f" /{repository.relative_to(self._root)}"
        lines = (self.folder / "access.log").read_text().splitlines()
        return [line.replace(at, " ", 1) for line in lines if f"{at}/" in line]

    def start(self) -> None:
        """Start fcgiwrap and nginx; return when nginx accepts connections."""
        config = self.folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                servers="".join(map(self._server, self.ports)),
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

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return bool(self._processes)

    def stop(self) -> None:
        """Stop both and wait for them."""
        while self._processes:
            process = self._processes.pop()
            os.killpg(process.pid, signal.SIGTERM)  # fcgiwrap's children outlive it otherwise
            process.wait(10)

    def let_in(self, users: dict[str, str]) -> None:
        """Let in these users from now on, and no others; for a server that was made with some."""
        lines = [f"{n}:{_openssl('passwd', '-apr1', p)}\n" for n, p in users.items()]
        (self.folder / "users").write_text("".join(lines))

    def _server(self, door: Door) -> str:
        certificate = {"expired": "expired", "misnamed": "misnamed"}.get(door, "server")
        inside = [
            f"ssl_certificate {self.folder}/{certificate}.pem;",
            f"ssl_certificate_key {self.folder}/{certificate}.key;",
        ]
        if door == "client":
            inside.append(f"ssl_client_certificate {self.authority.ca}; ssl_verify_client on;")
        return _SERVER.format(
            port=self.ports[door],
            plain=self.ports["plain"],
            tls="" if door == "plain" else "ssl",
            inside="" if door == "plain" else " ".join(inside),
            auth=self._auth(door),
            folder=self.folder,
            root=self._root,
            protocol='""' if door == "version-0" else "$http_git_protocol",
        )

    def _auth(self, door: Door) -> str:
        if door == "bearer":
            return f'if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}'
        if door != "basic" or not self._users:
            return ""
        self.let_in(self._users)
        return f"auth_basic git; auth_basic_user_file {self.folder}/users;"
