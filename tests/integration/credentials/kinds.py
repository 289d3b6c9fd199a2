"""The ways in: what each kind of credential is made of, and how a track is told where that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.gitservers.forge import APP_ID, INSTALLATION, Forge
from tests.gitservers.https import TOKEN, HttpsServer
from tests.gitservers.proxies import PASSWORD as PROXY_PASSWORD
from tests.gitservers.proxies import USER as PROXY_USER
from tests.gitservers.proxies import ProxyServer
from tests.gitservers.sshd import SshServer
from tests.gitservers.upstream import Upstream

USER, PASSWORD, APP_TOKEN = "ada", "c4nary:p4ssw0rd", "ghs_c4nary_first"
PASSPHRASE = "sw0rdfish-c4nary"
KINDS = ("ssh", "passphrase", "basic", "bearer", "client", "one-file", "proxy", "app")
ORIGINS = ("file", "env", "secret")
WHOLE = ("whole-secret", "folder")

PutSecret = Callable[[str, Mapping[str, bytes]], None]


@dataclass
class Kind:
    """One way in: the bytes by key of a track, and the same as Flux lays them out."""

    url: str
    values: dict[str, bytes]
    layout: dict[str, bytes]
    settings: str = ""
    proxy: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Servers:
    """What there is to get into; ``locked_key`` is let in over ssh too."""

    git: Upstream
    ssh: SshServer
    locked_key: bytes
    https: HttpsServer
    proxy: ProxyServer
    forge: Forge

    def kind(self, name: str) -> Kind:
        """Return a way in by its name, one of KINDS."""
        if name in ("ssh", "passphrase"):
            return self._over_ssh(name)
        if name == "proxy":
            return self._through_proxy()
        return self._for_app() if name == "app" else self._over_https()[name]

    def _over_ssh(self, name: str) -> Kind:
        hosts = self.ssh.known_hosts.encode()
        key = self.ssh.client_key.read_bytes() if name == "ssh" else self.locked_key
        values = {"deploy-key": key, "known-hosts": hosts}
        layout = {"identity": key, "known_hosts": hosts}
        if name == "passphrase":
            values["passphrase"] = layout["password"] = PASSPHRASE.encode()
        return Kind(self.ssh.url(self.git.path), values, layout)

    def _over_https(self) -> dict[str, Kind]:
        folder = self.https.authority.folder
        ca = self.https.authority.ca.read_bytes()
        certificate, key = ((folder / f"client.{part}").read_bytes() for part in ("pem", "key"))
        pair = {"tls.crt": certificate, "tls.key": key, "ca.crt": ca}
        inside = self.https.url(self.git.path, "client")
        return {
            "basic": Kind(
                self.https.url(self.git.path),
                {"deploy-key": f"{USER}:{PASSWORD}\n".encode(), "ca": ca},
                {"username": USER.encode(), "password": f"{PASSWORD}\n".encode(), "ca.crt": ca},
                'type = "HTTPBasicAuth"',
            ),
            "bearer": Kind(
                self.https.url(self.git.path, "bearer"),
                {"deploy-key": TOKEN.encode(), "ca": ca},
                {"bearerToken": TOKEN.encode(), "ca.crt": ca},
                'type = "BearerToken"',
            ),
            "client": Kind(
                inside, {"client-certificate": certificate, "client-key": key, "ca": ca}, pair
            ),
            "one-file": Kind(inside, {"client-certificate": key + certificate, "ca": ca}, pair),
        }

    def _through_proxy(self) -> Kind:
        kind = self._over_https()["basic"]
        kind.values["proxy"] = self.proxy.url().encode()
        kind.proxy = {
            "address": f"http://127.0.0.1:{self.proxy.port}".encode(),
            "username": PROXY_USER.encode(),
            "password": PROXY_PASSWORD.encode(),
        }
        return kind

    def _for_app(self) -> Kind:
        both = self.https.authority.ca.read_bytes() + self.forge.authority.ca.read_bytes()
        return Kind(
            self.https.url(self.git.path),
            {"deploy-key": self.forge.private_key, "ca": both},
            {
                "githubAppID": APP_ID.encode(),
                "githubAppInstallationID": INSTALLATION.encode(),
                "githubAppPrivateKey": self.forge.private_key,
                "githubAppBaseURL": self.forge.url.encode(),
                "ca.crt": both,
            },
            f'type = "GitHubApp", app-id = {APP_ID}, installation-id = {INSTALLATION}, '
            f'base-url = "{self.forge.url}"',
        )


def placed(
    kind: Kind, origin: str, *, name: str, folder: Path, put_secret: PutSecret
) -> tuple[list[str], dict[str, str]]:
    """Put each value where ``origin`` says; return the track's lines, and an environment.

    ``name`` keeps the values of one track apart from those of another.
    """
    environment = {}
    places = {}
    if origin == "secret":
        put_secret(name, kind.values)
    for key, value in kind.values.items():
        if origin == "file":
            path = folder / f"{name}-{key}"
            path.write_bytes(value)
            places[key] = f'file = "{path}"'
        elif origin == "env":
            variable = f"{name}_{key}".upper().replace("-", "_")
            environment[variable] = value.decode()
            places[key] = f'env = "{variable}"'
        else:
            places[key] = f'secret-name = "{name}", key = "{key}"'
    if "deploy-key" in places:
        passphrase = places.pop("passphrase", "")
        inside = [places["deploy-key"], kind.settings]
        inside += [f"passphrase = {{ {passphrase} }}"] if passphrase else []
        places["deploy-key"] = ", ".join(filter(None, inside))
    lines = [f"{key} = {{ {inside} }}" for key, inside in places.items()]
    return [f'repository = "{kind.url}"', *lines], environment


def laid_out(
    kind: Kind, origin: str, *, name: str, folder: Path, put_secret: PutSecret
) -> list[str]:
    """Put all values where ``origin`` says, in Flux's layout; return the track's lines."""
    lines = [f'repository = "{kind.url}"']
    for key, values in (("deploy-key", kind.layout), ("proxy", kind.proxy)):
        if not values:
            continue
        if origin == "whole-secret":
            put_secret(f"{name}-{key}", values)
            lines.append(f'{key} = {{ secret-name = "{name}-{key}" }}')
        else:
            inside = folder / f"{name}-{key}"
            inside.mkdir()
            for file, value in values.items():
                (inside / file).write_bytes(value)
            lines.append(f'{key} = {{ dir = "{inside}" }}')
    return lines
