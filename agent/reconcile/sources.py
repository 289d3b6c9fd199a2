"""Puts a track's source together: where it is fetched from, and with which credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.config.model import Agent, CredentialType, DeployKey, KnownHosts, VerifyKeys
from agent.config.model import Track as TrackConfig
from agent.source import providers
from agent.source.credentials import basic_auth, ssh_key
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.signatures.material import KeyFiles, KeyMaterial, KeyVariable
from agent.source.signatures.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Sources:
    """Builds the sources of all tracks.

    ``environment`` is where credentials that the configuration names are looked up.
    """

    settings: Agent
    fetcher: Fetcher
    environment: Mapping[str, str] = field(repr=False)

    def build(self, track: TrackConfig) -> GitSource:
        """Return a source that has not been asked yet; raises UnsupportedUrl."""
        return GitSource(
            url=track.repository,
            reference=track.reference,
            sub_path=track.sub_path,
            state_dir=self.settings.state_dir,
            credentials=self._credentials(track),
            timeout=self.settings.fetch_timeout,
            fetcher=self.fetcher,
            verifier=self._verifier(track),
        )

    def _verifier(self, track: TrackConfig) -> Verifier | None:
        if track.verify is None:
            return None
        keys = track.verify.keys
        material: KeyMaterial = (
            KeyVariable(keys.env, self.environment)
            if isinstance(keys, VerifyKeys)
            else KeyFiles(keys)
        )
        return Verifier(keys=material, mode=track.verify.mode)

    def _credentials(self, track: TrackConfig) -> providers.PlacedCredentials:
        key, hosts = track.deploy_key, track.known_hosts
        basic = key is not None and key.type is CredentialType.HTTP_BASIC_AUTH
        return providers.PlacedCredentials(
            secret=self._place(key),
            reader=basic_auth if basic else ssh_key,
            known_hosts=self._place(hosts),
            ca=providers.File(track.ca_file) if track.ca_file else None,
        )

    def _place(self, reference: DeployKey | KnownHosts | None) -> providers.Place | None:
        if reference is None:
            return None
        if reference.file is not None:
            return providers.File(reference.file)
        return providers.Variable(reference.env, self.environment)
