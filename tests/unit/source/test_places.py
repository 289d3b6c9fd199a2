"""Where secrets are read from, what is remembered of them, and what is said of one that is bad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.source.errors import CredentialsError, SecretError
from agent.source.login.credentials import basic_auth, ssh_key
from agent.source.login.places import (
    Constant,
    File,
    Folder,
    RememberedSecrets,
    SecretKey,
    Variable,
    WholeSecret,
)
from agent.source.login.providers import PlacedCredentials, PlacedKey

pytestmark = pytest.mark.asyncio


class Cluster:
    """Some Secrets, and how often one was asked for."""

    def __init__(self, secrets: Mapping[str, Mapping[str, bytes]]) -> None:
        self.secrets = dict(secrets)
        self.asked = 0

    async def __call__(self, namespace: str, name: str) -> Mapping[str, bytes]:
        self.asked += 1
        try:
            return self.secrets[f"{namespace}/{name}"]
        except KeyError:
            raise SecretError(f"failed to look up secret {namespace}/{name}: gone") from None


def provider(cluster: Cluster) -> PlacedCredentials:
    """Basic auth out of one key of a Secret, authorities out of another."""
    secrets = RememberedSecrets(cluster)
    return PlacedCredentials(
        PlacedKey(SecretKey(secrets, "shop", "git", "login"), basic_auth),
        ca=SecretKey(secrets, "shop", "git", "ca.crt", use="ca"),
        secrets=secrets,
    )


async def test_one_secret_is_asked_for_once_however_many_of_its_keys_are_used() -> None:
    cluster = Cluster({"shop/git": {"login": b"ada:one", "ca.crt": b"CA"}})
    made = await provider(cluster).get(fresh=True)
    assert (made.secret, made.ca, cluster.asked) == (b"one", b"CA", 1)


async def test_a_secret_is_remembered_until_it_is_wanted_fresh() -> None:
    cluster = Cluster({"shop/git": {"login": b"ada:one", "ca.crt": b"CA"}})
    source = provider(cluster)
    await source.get(fresh=True)
    cluster.secrets["shop/git"] = {"login": b"ada:two", "ca.crt": b"CA"}
    assert (await source.get(fresh=False)).secret == b"one"
    assert cluster.asked == 1
    assert (await source.get(fresh=True)).secret == b"two"


async def test_a_refusal_of_what_was_remembered_calls_for_a_new_look() -> None:
    cluster = Cluster({"shop/git": {"login": b"ada:one", "ca.crt": b"CA"}})
    source = provider(cluster)
    await source.get(fresh=True)
    assert source.refused() is False, "what was just read is not worth another look"
    await source.get(fresh=False)
    await source.get(fresh=False)
    assert source.refused() is True
    await source.get(fresh=False)
    assert cluster.asked == 3, "after a refusal nothing is remembered"


async def test_nothing_is_remembered_across_a_failure() -> None:
    cluster = Cluster({"shop/git": {"login": b"ada:one"}})
    source = provider(cluster)
    with pytest.raises(SecretError):
        await source.get(fresh=False)
    cluster.secrets["shop/git"] = {"login": b"ada:one", "ca.crt": b"CA"}
    assert (await source.get(fresh=False)).ca == b"CA"


async def test_a_key_that_is_not_there_is_said_in_faros_words() -> None:
    cluster = Cluster({"shop/git": {"ca.crt": b"CA"}})
    with pytest.raises(SecretError) as caught:
        await provider(cluster).get(fresh=True)
    assert str(caught.value) == (
        "invalid deploy key reference. Secret git does not have key login; it has ca.crt "
        "(namespace shop)"
    )


async def test_a_value_that_makes_no_sense_says_where_it_is_and_not_what(tmp_path: Path) -> None:
    secrets = RememberedSecrets(Cluster({"shop/git": {"login": b"hunter2"}}))
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2")
    for place, where in (
        (File(path), f"(file {path})"),
        (Variable("LOGIN", {"LOGIN": "hunter2"}), "(environment variable LOGIN)"),
        (SecretKey(secrets, "shop", "git", "login"), "(Secret shop/git, key login)"),
    ):
        with pytest.raises(CredentialsError) as caught:
            await PlacedCredentials(PlacedKey(place, basic_auth)).get(fresh=True)
        assert str(caught.value) == (
            "you must specify the secret as <username>:<password> for credential type "
            f"HTTPBasicAuth {where}"
        )


@pytest.mark.parametrize("key", ["known_hosts", "ca", "proxy", "passphrase"])
async def test_an_empty_value_is_an_error_and_not_the_machines_own(key: str) -> None:
    empty = Variable("EMPTY", {"EMPTY": " \n"})
    secret = Constant(b"PEM")
    if key == "passphrase":
        made = PlacedCredentials(PlacedKey(secret, ssh_key, empty))
    else:
        made = PlacedCredentials(PlacedKey(secret, ssh_key), **{key: empty})  # type: ignore[arg-type]
    with pytest.raises(CredentialsError, match=r"is empty \(environment variable EMPTY\)"):
        await made.get(fresh=True)


async def test_a_folder_is_read_as_the_kubelet_mounts_a_secret(tmp_path: Path) -> None:
    for generation in ("one", "two"):
        data = tmp_path / f"..{generation}"
        data.mkdir()
        (data / "password").write_text(generation)
        link = tmp_path / "..new"
        link.symlink_to(data.name)
        link.rename(tmp_path / "..data")
        if generation == "one":
            (tmp_path / "password").symlink_to("..data/password")
        assert await Folder(tmp_path).read_all() == {"password": generation.encode()}


async def test_a_folder_or_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"cannot read .*/none: No such file"):
        await Folder(tmp_path / "none").read_all()
    with pytest.raises(CredentialsError, match="larger than 1 MiB"):
        await File(Path("/dev/zero")).read()


async def test_a_whole_secret_is_all_of_its_data() -> None:
    secrets = RememberedSecrets(Cluster({"shop/git": {"a": b"1"}}))
    assert await WholeSecret(secrets, "shop", "git").read_all() == {"a": b"1"}
    assert str(WholeSecret(secrets, "shop", "git").refuse("no")) == "no (Secret shop/git)"
