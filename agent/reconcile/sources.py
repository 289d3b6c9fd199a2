"""Puts a track's source together: where it is fetched from, how to get in, who has to sign."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.config.model import Agent, CredentialType, DeployKey, Proxy, Verify, VerifyKeys
from agent.config.model import Place as PlaceConfig
from agent.config.model import Track as TrackConfig
from agent.kube.client import Client
from agent.kube.errors import Forbidden, KubeError
from agent.kube.secrets import read_secret
from agent.source.errors import SecretError
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login import places, providers
from agent.source.login.credentials import basic_auth, bearer_token, ssh_key
from agent.source.login.githubapp import DEFAULT_BASE_URL, App
from agent.source.pool import sweep_homedirs
from agent.source.signatures.material import KeyFiles, KeyMaterial, KeySecret, KeyVariable
from agent.source.signatures.verifier import Verifier
from agent.source.sweep import sweep
from agent.source.url import parse_url

_READERS: Final = {
    CredentialType.SSH: ssh_key,
    CredentialType.HTTP_BASIC_AUTH: basic_auth,
    CredentialType.BEARER_TOKEN: bearer_token,
}


@dataclass(frozen=True, slots=True)
class SecretLookup:
    """Reads Secrets for sources, and says in Faros' words why one cannot be read."""

    client: Client

    async def __call__(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return the decoded data of one Secret; raise SecretError."""
        try:
            return await read_secret(self.client, namespace=namespace, name=name)
        except KubeError as error:
            hint = ""
            if isinstance(error, Forbidden):
                hint = f"; the agent needs the right to get Secret {name} in {namespace}"
            reason = f"failed to look up secret {namespace}/{name}: {error}{hint}"
            raise SecretError(reason) from error


@dataclass(frozen=True, slots=True)
class Sources:
    """Builds the sources of all tracks.

    ``environment`` is where credentials that the configuration names are looked up, ``secrets``
    reads those that are in the cluster.
    """

    settings: Agent
    fetcher: Fetcher
    environment: Mapping[str, str] = field(repr=False)
    secrets: places.SecretReader

    def build(self, track: TrackConfig) -> GitSource:
        """Return a source that has not been asked yet; raises UnsupportedUrl."""
        return GitSource(
            url=track.repository,
            reference=track.reference,
            sub_path=track.sub_path,
            ignore=track.ignore,
            state_dir=self.settings.state_dir,
            credentials=self.credentials(track),
            timeout=self.settings.fetch_timeout,
            fetcher=self.fetcher,
            verifier=self.verifier(track.verify) if track.verify else None,
            agent=self.settings.name,
        )

    async def sweep(self, tracks: Iterable[TrackConfig]) -> None:
        """Take away what others than ``tracks``, and processes that were killed, left on the disk.

        Once at the start is enough.
        """
        tracked = {file for track in tracks for file in self.build(track).record_files}
        repositories = self.settings.state_dir / "repositories"
        await sweep(repositories, fetcher=self.fetcher, agent=self.settings.name, tracked=tracked)
        await asyncio.to_thread(sweep_homedirs, None)

    def verifier(self, verify: Verify) -> Verifier:
        """Return what checks a track's revisions; a Secret with keys is remembered for it alone."""
        return Verifier(keys=self._key_material(verify.keys), mode=verify.mode)

    def _key_material(self, keys: tuple[Path, ...] | VerifyKeys) -> KeyMaterial:
        if not isinstance(keys, VerifyKeys):
            return KeyFiles(keys)
        if keys.secret_name:
            secrets = places.RememberedSecrets(self.secrets)
            return KeySecret(secrets, keys.secret_namespace, keys.secret_name)
        return KeyVariable(keys.env, self.environment)

    def credentials(self, track: TrackConfig) -> providers.PlacedCredentials:
        """Return what reads a track's credentials; its Secrets are remembered for it alone."""
        secrets = places.RememberedSecrets(self.secrets)
        found = _Places(self.environment, secrets)
        return providers.PlacedCredentials(
            key=found.key(track),
            known_hosts=found.place(track.known_hosts, use="known-hosts"),
            ca=found.place(track.ca, use="ca"),
            client_certificate=found.place(track.client_certificate, use="client-certificate"),
            client_key=found.place(track.client_key, use="client-key"),
            proxy=found.proxy(track.proxy),
            secrets=secrets,
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """From places as the configuration names them to places that can be read."""

    environment: Mapping[str, str] = field(repr=False)
    secrets: places.RememberedSecrets

    def key(self, track: TrackConfig) -> providers.Key | None:
        key = track.deploy_key
        if key is None:
            return None
        if (whole := self.whole(key)) is not None:
            return providers.WholeKey(whole, parse_url(track.repository))
        place = self.of(key, use="deploy key")
        if key.type is CredentialType.GITHUB_APP:
            return providers.AppKey(place, _app(key))
        passphrase = self.place(key.passphrase, use="passphrase")
        return providers.PlacedKey(place, _READERS[key.type or CredentialType.SSH], passphrase)

    def proxy(self, proxy: Proxy | None) -> places.Place | None:
        if proxy is None:
            return None
        if proxy.url:
            return places.Constant(proxy.url.encode())
        if (whole := self.whole(proxy)) is not None:
            return providers.WholeProxy(whole)
        return self.of(proxy, use="proxy")

    def whole(self, place: DeployKey | Proxy) -> places.Whole | None:
        if place.dir is not None:
            return places.Folder(place.dir)
        if place.is_whole:
            return places.WholeSecret(self.secrets, place.secret_namespace, place.secret_name)
        return None

    def place(self, place: PlaceConfig | None, *, use: str) -> places.Place | None:
        return None if place is None else self.of(place, use=use)

    def of(self, place: PlaceConfig, *, use: str) -> places.Place:
        if place.file is not None:
            return places.File(place.file)
        if place.secret_name:
            return places.SecretKey(
                self.secrets, place.secret_namespace, place.secret_name, place.key, use=use
            )
        return places.Variable(place.env, self.environment)


def _app(key: DeployKey) -> App:
    """Return all of a GitHub App but its private key, which is read later."""
    return App(
        app_id=key.app_id,
        private_key=b"",
        installation_id=key.installation_id,
        installation_owner=key.installation_owner,
        base_url=key.base_url or DEFAULT_BASE_URL,
    )
