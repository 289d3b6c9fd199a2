"""Repository URLs: every spelling git has, and nothing secret in what is shown or written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.source.errors import UnsupportedUrl
from agent.source.url import GitUrl, parse_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "ssh://git@Git.Example.org:2222/team/app.git",
            GitUrl("ssh", "git.example.org", 2222, "/team/app.git", "git"),
            id="ssh",
        ),
        pytest.param(
            "git@example.org:team/app.git",
            GitUrl("ssh", "example.org", None, "team/app.git", "git"),
            id="scp-like",
        ),
        pytest.param(
            "example.org:/srv/app",
            GitUrl("ssh", "example.org", None, "/srv/app"),
            id="scp-like-absolute",
        ),
        pytest.param(
            "https://ada:p%40ss@example.org:443/app/",
            GitUrl("https", "example.org", None, "/app", "ada", "p@ss"),
            id="https-user-password",
        ),
        pytest.param("http://[::1]:8080/app", GitUrl("http", "::1", 8080, "/app"), id="http-ipv6"),
        pytest.param("file:///srv/my%20app", GitUrl("file", "", None, "/srv/my app"), id="file"),
        pytest.param(
            "/srv/app.git", GitUrl("file", "", None, "/srv/app.git", plain=True), id="path"
        ),
        pytest.param(
            "/home/ada/My Folder/",
            GitUrl("file", "", None, "/home/ada/My Folder", plain=True),
            id="path-with-a-space",
        ),
    ],
)
def test_a_url_is_read_as_git_reads_it(text: str, expected: GitUrl) -> None:
    assert parse_url(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("app.git", "not a repository URL", id="relative-path"),
        pytest.param("git://example.org/app", "transport 'git' is not supported", id="git"),
        pytest.param("rsync://example.org/app", "transport 'rsync'", id="rsync"),
        pytest.param("https://example.org", "names a host but no repository", id="no-path"),
        pytest.param("https://example.org/app?token=hunter2", "no query", id="query"),
        pytest.param("https:///app", "no valid host", id="no-host"),
        pytest.param("ssh://-oProxyCommand=x/app", "no valid host", id="option-as-host"),
        pytest.param("file://server/app", "no host", id="file-with-host"),
        pytest.param("https://ada:hunter2/x@example.org/app", "percent-encode", id="raw-slash"),
        pytest.param("https://ada:/hunter2@example.org/app", "percent-encode", id="first-slash"),
        pytest.param("https://ada:12/hunter2@example.org/app", "percent-encode", id="as-port"),
        pytest.param("https://hun/ter2@example.org/app", "percent-encode", id="token-with-slash"),
        pytest.param("https://ada:hunter2://x@example.org/app", "percent-encode", id="raw-scheme"),
        pytest.param("ada:hunter2 x@example.org/app", "spaces", id="no-scheme"),
        pytest.param("https://example.org/a b", "spaces", id="space"),
        pytest.param("https://example.org/a\nb", "spaces", id="newline"),
    ],
)
def test_a_url_that_is_not_offered_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UnsupportedUrl, match=reason) as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown", "transport"),
    [
        pytest.param(
            "ssh://git:hunter2@example.org:22/app",
            "ssh://example.org/app",
            "ssh://git@example.org/app",
            id="ssh",
        ),
        pytest.param(
            "example.org:app", "example.org:app", "git@example.org:app", id="scp-like-no-user"
        ),
        pytest.param(
            "https://hunter2@example.org/app",
            "https://example.org/app",
            "https://example.org/app",
            id="https-token-as-user",
        ),
        pytest.param("/srv/app", "/srv/app", "/srv/app", id="path"),
    ],
)
def test_neither_people_nor_libgit2_are_given_a_password(
    text: str, shown: str, transport: str
) -> None:
    url = parse_url(text)
    assert url.redacted() == shown
    assert url.for_transport() == transport
    assert "hunter2" not in f"{url.redacted()} {url.for_transport()} {url.mirror_name()}"


@pytest.mark.parametrize(
    "other",
    ["https://Example.org/team/app.git", "https://example.org:443/team/app.git/",
     "https://ada:secret@example.org/team/app.git"],
)  # fmt: skip
def test_spellings_of_one_url_share_a_mirror(other: str) -> None:
    assert parse_url(other).mirror_name() == (
        parse_url("https://example.org/team/app.git").mirror_name()
    )


def test_different_repositories_of_one_name_do_not_share_a_mirror() -> None:
    names = {
        parse_url(text).mirror_name()
        for text in ("https://a.org/x/app", "https://a.org/y/app", "ssh://git@a.org/x/app",
                     "git@a.org:x/app", "/x/app", "http://a.org/x/app", "https://a.org:8443/x/app")
    }  # fmt: skip
    assert len(names) == 7
    assert all(name.startswith("app-") for name in names)


_WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)


@given(secret=_WORDS.map(lambda word: f"s3cret{word}"), host=_WORDS, path=_WORDS)
def test_a_password_never_survives_in_any_text(secret: str, host: str, path: str) -> None:
    url = parse_url(f"https://user:{secret}@{host}/{path}")
    assert secret not in url.redacted() + url.for_transport() + url.mirror_name() + repr(url)
    assert url.password == secret


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_clear_refusal(text: str) -> None:
    try:
        name = parse_url(text).mirror_name()
    except UnsupportedUrl as error:
        assert error.reason
    else:
        assert "/" not in name
        assert name not in {".", ".."}


def test_a_path_below_home_keeps_a_port_in_brackets() -> None:
    led = replace(parse_url("git@example.org:team/app.git"), host="127.0.0.1", port=4022)
    assert led.for_transport() == "[git@127.0.0.1:4022]:team/app.git"
