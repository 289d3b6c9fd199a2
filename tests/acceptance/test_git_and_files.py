"""Items 4 to 10: what is fetched, which files of it count, and with which credentials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.reconcile.reports.status import FETCHED, PARSED
from agent.source.errors import CredentialsError
from agent.source.git import GitSource
from agent.source.login.credentials import CredentialKind, Credentials, basic_auth, for_url, ssh_key
from agent.source.login.places import File, Place, Variable
from agent.source.login.providers import PlacedCredentials, PlacedKey
from agent.source.snapshot import Snapshot, Trust
from agent.source.url import parse_url
from tests.acceptance.evidence import condition, events, messages, reached, reasons, verdict
from tests.acceptance.manifests import BROKEN, DAEMON_SET, role
from tests.acceptance.scopes import BOTH_KINDS, set_scope
from tests.eventually import eventually
from tests.gitservers.broken import listener
from tests.gitservers.sshd import SshServer, generate_key
from tests.gitservers.upstream import COMMITTED_AT
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map
from tests.integration.source.conftest import Remote, Track
from tests.unit.config.files import problems

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

SSH_URL = "git@git.example.org:app.git"
HTTPS_URL = "https://git.example.org/app.git"


async def error_of(source: GitSource) -> str:
    snapshot = await source.poll()
    assert snapshot.trust is Trust.UNREADABLE
    return str(snapshot.error)


async def test_item_04_a_checkout_knows_the_committers_time(remote: Remote, track: Track) -> None:
    """A repository is checked out, and the commit's committer time becomes its last update.

    Faros asks a public server; here it is one over each transport. Faros keeps the time by URL, we
    keep it with the revision, so that two tracks of one repository cannot mix theirs.
    """
    remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote)
    first = (await source.poll()).revision
    commit = remote.upstream.commit({"deploy/a.yaml": "2"})
    second = (await source.poll()).revision
    assert first is not None
    assert second is not None
    assert (first.committed_at, second.committed_at) == (COMMITTED_AT, COMMITTED_AT + 60)
    assert second.commit == commit


async def test_item_05_a_repository_that_does_not_exist_is_said(
    local: Remote, track: Track
) -> None:
    """Faros: "failed to get repository 'URL': repository not found'", with the stray quote.

    Ours begins with the URL, says what is missing and what to check. And it is no sticky failure:
    the repository is read as soon as it is there, while Faros had to be restarted.
    """
    url = local.url.replace(".git", "-moved.git")
    source = track(local, url=url)
    assert await error_of(source) == (
        f"{url}: there is no such folder; "
        "check the URL and that the server can be reached from here"
    )
    local.upstream.commit({"deploy/a.yaml": "1"})
    local.upstream.path.rename(url.removeprefix("file://"))
    assert (await source.poll()).trust is Trust.NEW


async def test_item_05_a_reference_that_does_not_exist_is_said(local: Remote, track: Track) -> None:
    """Faros: "failed to checkout 'REF': unable to parse ref REF: reference not found"."""
    local.upstream.commit({"deploy/a.yaml": "1"})
    assert await error_of(track(local, reference="does-not-exist")) == (
        f"{local.url}: unable to resolve reference 'does-not-exist': no tag, branch or ref of that "
        "name; check reference; a commit is named by its full 40-digit id"
    )


async def test_item_05_a_server_that_does_not_answer_costs_the_timeout(
    local: Remote, track: Track
) -> None:
    """Faros with a timeout of 0: "timed out getting repository 'URL'"."""
    async with listener(trickle=False) as port:
        url = f"https://127.0.0.1:{port}/app.git"
        assert await error_of(track(local, url=url, timeout=0.5)) == (
            f"{url}: no complete answer within 0.5s; "
            "check the server and the way to it, or raise fetch-timeout"
        )


async def test_item_05_a_timeout_of_zero_is_refused(tmp_path: Path) -> None:
    """In Faros it makes every fetch time out; here it is a mistake in the configuration."""
    text = '[agent]\nfetch-timeout = "0s"\n[[track]]\nname = "t"\nrepository = "/r"\n'
    assert problems(tmp_path, text) == [
        'c.toml:2: agent.fetch-timeout: too short (got "0s"), the least is 1ms'
    ]


async def test_item_05_invalid_ssh_credentials_are_said(
    ssh: Remote, ssh_server: SshServer, track: Track, tmp_path: Path
) -> None:
    """Pending in Faros. A key that the server does not know is refused by it, not by a timeout."""
    stranger = ssh_key(generate_key(tmp_path / "stranger").read_bytes())
    credentials = replace(stranger, known_hosts=ssh.credentials.known_hosts)
    source = track(replace(ssh, credentials=credentials))
    assert await error_of(source) == (
        f"{parse_url(ssh.url).redacted()}: the server refused the SSH key for user "
        f"'{ssh_server.user}'; check the track's deploy-key: is it this repository's, still valid, "
        "of the right type"
    )


MANIFESTS = (
    *("a.yaml", "b.yml", "c.json", "dir/a.yaml", "dir/b.yml", "dir/c.json"),
    *("dir/deep/er/a.yaml", "dir/deep/er/b.yml", "dir/deep/er/c.json"),
    *("x y.yaml", "foo/kustomization.yaml", "foo.d/a.yaml"),
)
OTHERS = (
    *("README.md", "a.yaml.bak", "A.YAML", "yaml", "dir/script.sh", "dir/json", "dir/d.yaml/x"),
    *(".travis.yml", ".github/workflows/ci.yml"),
)


def paths(snapshot: Snapshot) -> list[str]:
    return sorted(file.path for file in snapshot.files)


async def test_item_06_a_whole_repository_is_read_recursively(local: Remote, track: Track) -> None:
    """The whole repository has 12 files, all of them .yaml, .yml or .json, at any depth.

    Symlinks are not followed. Unlike Faros we leave out what is hidden (.travis.yml, .github/):
    there each such file was a parse error that turned clean-up off for the whole track.
    """
    files = dict.fromkeys((*MANIFESTS, *OTHERS), "1")
    local.upstream.commit(files, links={"link.yaml": "a.yaml"})
    snapshot = await track(local, sub_path="").poll()
    assert paths(snapshot) == sorted(MANIFESTS)
    assert len(snapshot.files) == 12


@pytest.mark.parametrize("scope", BOTH_KINDS)
async def test_item_06_a_checkout_is_told_once_for_each_revision(world: World, scope: str) -> None:
    """Faros sends CheckoutStarted; the same for both kinds of track.

    It does so at every reconcile, which is at least every five minutes for ever. We send
    CheckoutSuccessful alone, and only when the revision is another one.
    """
    set_scope(world, scope)
    world.settings.append('sync-period = "1s"')
    first = world.commit({"a.yaml": config_map("a")})
    await world.once()
    async with world.running():
        await three_passes(world)
        second = world.commit({"README.md": "text"})
        await reached(world, second)
        await three_passes(world)
    url = f"file://{world.git.path}"
    told = [e for e in await events(world) if e.reason == "CheckoutSuccessful"]
    assert sorted((e.message, e.count) for e in told) == sorted(
        (f"Successfully checked out '{url}' at 'HEAD' ({commit[:12]})", 1)
        for commit in (first, second)
    )
    assert await reasons(world) == ["CheckoutSuccessful", "CheckoutSuccessful", "CreateSuccessful"]


async def three_passes(world: World) -> None:
    """Wait for three more passes of the running agent; each one reads the track's ConfigMap."""
    mark = world.control_plane.mark()

    def reads() -> int:
        inventory = f"{world.name}.shop"
        return sum(r.verb == "get" and r.name == inventory for r in world.requests(mark))

    await eventually(lambda: reads() > 3, what="three passes")


SUB_PATHS = {
    "foo": ["foo/1.yaml", "foo/2.yml", "foo/bar/3.json"],
    "/foo": ["foo/1.yaml", "foo/2.yml", "foo/bar/3.json"],
    "foo/": ["foo/1.yaml", "foo/2.yml", "foo/bar/3.json"],
    "foobar": ["foobar/1.yaml", "foobar/2.yaml"],
    "/foobar": ["foobar/1.yaml", "foobar/2.yaml"],
}


@pytest.mark.parametrize(("sub_path", "expected"), SUB_PATHS.items(), ids=SUB_PATHS)
async def test_item_07_a_sub_path_is_a_folder_and_no_prefix(
    local: Remote, track: Track, sub_path: str, expected: list[str]
) -> None:
    """``foo`` has 3 files and ``foobar`` 2, with and without a leading slash."""
    local.upstream.commit(dict.fromkeys((*SUB_PATHS["foo"], *SUB_PATHS["foobar"]), "1"))
    assert paths(await track(local, sub_path=sub_path).poll()) == expected


async def test_item_07_a_sub_path_that_does_not_exist_is_an_error(world: World) -> None:
    """No files, an error, and a CheckoutFailed event; as in Faros nothing is deleted for it."""
    world.track.append('sub-path = "does-not-exist"')
    commit = world.commit({"foo/a.yaml": config_map("a")})
    status = await world.once()
    reason = (
        f"no files for sub-path 'does-not-exist' in commit {commit[:12]}; nothing is deleted for "
        "it; check sub-path: a folder with .yaml, .yml or .json"
    )
    assert condition(status, FETCHED).message == f"file://{world.git.path}: {reason}"
    assert verdict(status, FETCHED) == ("False", "ErrorFetchingFiles")
    assert await messages(world, "CheckoutFailed") == [
        f"Failed to checkout 'file://{world.git.path}' at 'HEAD': {reason}"
    ]
    assert await world.get("configmap", "a") is None


async def test_item_08_files_and_documents_become_objects(world: World) -> None:
    """One revision has two files of one object each, the next also a file of three documents."""
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    assert (await world.once()).discovered == 2
    world.commit({"more.yaml": "---\n".join(role(name) for name in ("x", "y", "z"))})
    status = await world.once()
    assert (status.discovered, status.applied, status.ready) == (5, 5, True)


async def test_item_08_an_invalid_file_is_reported_under_its_name(world: World) -> None:
    """``invalid_file.yaml`` is reported, and the other files are parsed all the same.

    Faros: "unable to parse 'PATH': ERR" with a newline; ours says the line as well.
    """
    world.commit({"a.yaml": config_map("a"), "invalid_file.yaml": BROKEN})
    status = await world.once()
    assert (status.discovered, status.applied) == (1, 1)
    assert list(status.problems) == ["invalid_file.yaml"]
    assert verdict(status, PARSED) == ("False", "ErrorParsingFiles")
    assert condition(status, PARSED).message.startswith("invalid_file.yaml:3: not YAML: ")


async def test_item_08_what_stands_before_a_broken_document_is_applied(world: World) -> None:
    """A DaemonSet and a broken ConfigMap in one file: the first is kept, the second dropped.

    The error is listed under ``daemonset.yaml``.
    """
    world.commit({"daemonset.yaml": f"{DAEMON_SET}---\n{BROKEN}"})
    status = await world.once()
    assert (status.discovered, status.applied, status.ignored) == (1, 1, 1)
    assert list(status.problems) == ["daemonset.yaml"]
    assert await world.get("daemonset", "fluentd") is not None


async def test_item_09_without_a_deploy_key_there_are_no_credentials() -> None:
    """Nothing configured gives no credentials, which is not an error."""
    assert await PlacedCredentials().get(fresh=True) == Credentials()


async def test_item_09_a_valid_key_is_read(tmp_path: Path) -> None:
    """The bytes of the secret's key are the private key, read anew each time, so it may rotate.

    Where Faros names a Secret and a key in it, a file (a mounted Secret) or a variable stands.
    """
    path = tmp_path / "id_ed25519"
    provider = PlacedCredentials(PlacedKey(File(path), ssh_key))
    for secret in (b"first", b"rotated"):
        path.write_bytes(secret)
        assert await provider.get(fresh=True) == ssh_key(secret)
    assert await PlacedCredentials(PlacedKey(Variable("KEY", {"KEY": "first"}), ssh_key)).get(
        fresh=True
    ) == ssh_key(b"first")


async def test_item_09_a_missing_secret_is_said(ssh: Remote, track: Track, tmp_path: Path) -> None:
    """Faros: "unable to retrieve git credentials from secret: failed to look up secret NAME"."""
    places: dict[str, Place] = {
        f"cannot read {tmp_path}/gone: No such file or directory": File(tmp_path / "gone"),
        "environment variable KEY is not set": Variable("KEY", {}),
    }
    for reason, place in places.items():
        source = track(ssh, credentials=PlacedCredentials(PlacedKey(place, ssh_key)))
        said = await error_of(source)
        url = parse_url(ssh.url).redacted()
        assert said == f"{url}: unable to retrieve git credentials: {reason}"


ONE_PLACE = "needs exactly one of file, env, secret-name and dir"
INCOMPLETE = {
    "{}": f"track[0].deploy-key: {ONE_PLACE}",
    '{ type = "SSH" }': f"track[0].deploy-key: {ONE_PLACE}",
    '{ file = "/k", env = "K" }': f"track[0].deploy-key: {ONE_PLACE}",
    '{ key = "id_rsa" }': "track[0].deploy-key: both SecretName and Key must be set when using "
    "DeployKey: secret-name is missing",
    '{ secret-name = "s", key = "k" }': "track[0].deploy-key.secret-namespace: no SecretNamespace "
    "set for DeployKey: the track is not of one namespace, name it",
    '{ file = "/k", type = "PGP" }': "track[0].deploy-key.type: not a type of credential, "
    "expected one of SSH, HTTPBasicAuth, BearerToken, GitHubApp",
}


@pytest.mark.parametrize(("key", "expected"), INCOMPLETE.items(), ids=INCOMPLETE)
async def test_item_09_an_incomplete_deploy_key_is_refused(
    tmp_path: Path, key: str, expected: str
) -> None:
    """Faros: "both SecretName and Key must be set when using DeployKey", found at a reconcile.

    Here it is found before the start, and only the name of the Secret is asked for: one without
    a key is read whole, as Flux does.
    """
    track = f'[[track]]\nname = "t"\nrepository = "{SSH_URL}"\ndeploy-key = {key}\n'
    assert problems(tmp_path, track) == [f"c.toml:4: {expected}"]


async def test_item_10_an_ssh_key_goes_to_an_ssh_repository() -> None:
    """A secret of type SSH becomes the repository's private key; the user is the URL's or git."""
    made = for_url(ssh_key(b"PEM"), parse_url(SSH_URL))
    assert (made.kind, made.username, made.secret) == (CredentialKind.SSH_KEY, "git", b"PEM")


async def test_item_10_a_basic_auth_secret_is_split_at_the_first_colon() -> None:
    """``username:password``; the password may have colons, and an editor's newline is forgiven."""
    made = for_url(basic_auth(b"ada:pass:word\n"), parse_url(HTTPS_URL))
    assert (made.kind, made.username, made.secret) == (CredentialKind.BASIC, "ada", b"pass:word")


async def test_item_10_a_basic_auth_secret_without_colon_is_refused() -> None:
    """The text is Faros' own."""
    with pytest.raises(CredentialsError) as caught:
        basic_auth(b"token-without-user")
    assert str(caught.value) == (
        "you must specify the secret as <username>:<password> for credential type HTTPBasicAuth"
    )


async def test_item_10_without_credentials_there_is_the_url_alone() -> None:
    """No credentials: the reference to the repository is its URL; no empty header is sent."""
    url = parse_url(HTTPS_URL)
    assert for_url(Credentials(), url) == Credentials()
    assert url.for_transport() == HTTPS_URL
