"""Loading: what a right file comes to, and what wins over what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.config.load import load
from agent.config.model import (
    Agent,
    Config,
    CredentialType,
    DeployKey,
    IgnoredFields,
    IgnoredResource,
    Place,
    Proxy,
    Track,
    Verify,
    VerifyMode,
)
from agent.config.pointers import Pointer
from tests.unit.config.files import TRACK, loaded, problems


def test_a_file_with_one_track_has_the_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path, TRACK)
    assert config == Config(
        agent=Agent(), tracks=(Track(name="t", repository="https://example.org/r"),)
    )


def test_every_key_is_read(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        [agent]
        name = "edge"
        namespace = "shop"
        ignore-resources = ["jobs.batch/v1", "secrets./v1", "tracks.a.example.org/v1alpha1"]
        sync-period = "10m"
        server-dry-run = false
        fetch-timeout = "300ms"
        state-dir = "state"
        state-namespace = "ops"
        kubeconfig = "~/kube"
        context = "arn:aws:eks:eu-west-1:1:cluster/x"
        [[track]]
        name = "a"
        repository = "git@example.org:r"
        reference = "release/1.2"
        sub-path = "/./deploy//prod/"
        interval = "1s"
        scope = "shop"
        prune = false
        prune-limit = "7%"
        deploy-key = { env = "KEY" }
        known-hosts.file = "/hosts"
        verify = { keys = "signers.asc", mode = "TagAndHEAD" }
        [[track]]
        name = "b"
        repository = "https://example.org/r"
        deploy-key = { file = "pw", type = "HTTPBasicAuth" }
        ca = { file = "ca.pem" }
        client-certificate = { secret-name = "tls", key = "tls.crt" }
        client-key = { secret-name = "tls", secret-namespace = "shop", key = "tls.key" }
        proxy = { secret-name = "proxy" }
        verify.keys = ["~/keys", "/keys"]
        [[track.ignore-fields]]
        kind = "Deployment.apps"
        namespace = "shop"
        name = "web"
        pointers = ["/spec/replicas", "/metadata/annotations/a~1b"]
        """,
        environment={"HOME": "/home/me"},
    )
    assert config.agent == Agent(
        name="edge",
        namespace="shop",
        ignore_resources=(
            IgnoredResource("jobs", "batch", "v1"),
            IgnoredResource("secrets", "", "v1"),
            IgnoredResource("tracks", "a.example.org", "v1alpha1"),
        ),
        sync_period=600.0,
        server_dry_run=False,
        fetch_timeout=0.3,
        state_dir=tmp_path / "state",
        state_namespace="ops",
        kubeconfig=Path("/home/me/kube"),
        context="arn:aws:eks:eu-west-1:1:cluster/x",
    )
    assert config.tracks == (
        Track(
            name="a",
            repository="git@example.org:r",
            reference="release/1.2",
            sub_path="deploy/prod",
            interval=1.0,
            scope="shop",
            prune=False,
            prune_limit=7,
            deploy_key=DeployKey(env="KEY"),
            known_hosts=Place(file=Path("/hosts")),
            verify=Verify(keys=(tmp_path / "signers.asc",), mode=VerifyMode.TAG_AND_HEAD),
        ),
        Track(
            name="b",
            repository="https://example.org/r",
            scope="shop",
            deploy_key=DeployKey(file=tmp_path / "pw", type=CredentialType.HTTP_BASIC_AUTH),
            ca=Place(file=tmp_path / "ca.pem"),
            client_certificate=Place(secret_name="tls", secret_namespace="shop", key="tls.crt"),
            client_key=Place(secret_name="tls", secret_namespace="shop", key="tls.key"),
            proxy=Proxy(secret_name="proxy", secret_namespace="shop"),
            verify=Verify(keys=(Path("/home/me/keys"), Path("/keys"))),
            ignore_fields=(
                IgnoredFields(
                    kind="Deployment.apps",
                    namespace="shop",
                    name="web",
                    pointers=(
                        Pointer(("spec", "replicas")),
                        Pointer(("metadata", "annotations", "a/b")),
                    ),
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a/b.git",
        "https://example.org:8443/r",
        "http://[::1]:3000/r",
        "ssh://git@example.org:2222/r",
        "git@example.org:org/r",
        "example.org:r",
        "git@[::1]:r",
        "file:///srv/git/my repository",
        "/srv/git/r",
    ],
)
def test_what_git_takes_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    config = loaded(tmp_path, f'[[track]]\nname = "t"\nrepository = "{url}"')
    assert config.tracks[0].repository == url


PRECEDENCE = {
    "default": ("", None, None, 300.0),
    "file": ("1m", None, None, 60.0),
    "environment over default": ("", "2m", None, 120.0),
    "environment over file": ("1m", "2m", None, 120.0),
    "flag over default": ("", None, "3m", 180.0),
    "flag over all": ("1m", "2m", "3m", 180.0),
}


@pytest.mark.parametrize(
    ("file", "variable", "flag", "expected"), PRECEDENCE.values(), ids=PRECEDENCE
)
def test_flag_beats_environment_beats_file_beats_default(
    tmp_path: Path, file: str, variable: str | None, flag: str | None, expected: float
) -> None:
    text = f'[agent]\nsync-period = "{file}"\n' if file else ""
    environment = {"LIGHTKEEPER_SYNC_PERIOD": variable} if variable else {}
    config = loaded(tmp_path, text + TRACK, environment=environment, flags={"sync-period": flag})
    assert config.agent.sync_period == expected


def test_texts_from_outside_get_the_type_of_their_key(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        TRACK,
        environment={"LIGHTKEEPER_SERVER_DRY_RUN": "F", "LIGHTKEEPER_REPOSITORY_DIR": "/v"},
        flags={"ignore-resources": ["jobs.batch/v1, secrets./v1", "pods./v1"]},
    )
    assert [str(r) for r in config.agent.ignore_resources] == [
        "jobs.batch/v1",
        "secrets./v1",
        "pods./v1",
    ]
    assert config.agent.server_dry_run is False
    assert config.agent.state_dir == Path("/v")


def test_a_relative_path_from_a_flag_starts_where_the_user_is(tmp_path: Path) -> None:
    config = loaded(tmp_path, TRACK, flags={"state-dir": "state", "kubeconfig": "~/k"})
    assert config.agent.state_dir == Path("state")
    assert config.agent.kubeconfig == Path("~/k")  # there is no HOME in this environment


def test_a_namespace_from_a_flag_restricts_the_tracks_of_the_file(tmp_path: Path) -> None:
    config = loaded(tmp_path, TRACK, flags={"namespace": "shop"})
    assert config.tracks[0].scope == config.tracks[0].scope_namespace == "shop"
    (problem,) = problems(tmp_path, f'{TRACK}scope = "ops"', flags={"namespace": "shop"})
    assert problem.startswith("c.toml:4: track[0].scope: outside of what the agent is restricted")


def test_variables_that_kubernetes_sets_for_a_service_are_left_alone(tmp_path: Path) -> None:
    environment = {"LIGHTKEEPER_PORT": "tcp://10.0.0.1:80", "LIGHTKEEPER_SERVICE_HOST": "10.0.0.1"}
    assert loaded(tmp_path, TRACK, environment=environment).agent == Agent()


def test_a_byte_order_mark_and_crlf_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TRACK.replace("\n", "\r\n").encode())
    assert load(path, environment=os.environ, flags={}).tracks[0].name == "t"
