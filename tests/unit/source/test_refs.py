"""A server's listing of refs, as the protocol documents write it down."""

from __future__ import annotations

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.source.listing import Listing
from agent.source.wire.pktline import Marker, marker, packet
from agent.source.wire.refs import (
    Capabilities,
    ServerError,
    UnsupportedFormat,
    ls_refs,
    read_advertisement,
    read_ls_refs,
)

_A, _B, _C = ("a" * 40, "b" * 40, "c" * 40)
_FLUSH = marker(Marker.FLUSH)


def _stream(*lines: str) -> bytes:
    return b"".join(packet(f"{line}\n".encode()) if line else _FLUSH for line in lines)


_V2 = ("version 2", "agent=git/2.39", "ls-refs=unborn", "fetch=shallow", "object-format=sha1", "")
_OFFERED = {
    "agent": "git/2.39",
    "ls-refs": "unborn",
    "fetch": "shallow",
    "object-format": "sha1",
}
_V0 = (f"{_A} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.39",
       f"{_A} refs/heads/main", f"{_B} refs/tags/v1", f"{_C} refs/tags/v1^{{}}", "")  # fmt: skip
_REFS = Listing(
    {"HEAD": _A, "refs/heads/main": _A, "refs/tags/v1": _B, "refs/tags/v1^{}": _C},
    "refs/heads/main",
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(_V2, Capabilities(_OFFERED), id="v2"),
        pytest.param(("# service=git-upload-pack", "", *_V2), Capabilities(_OFFERED), id="v2-said"),
        pytest.param(("# service=git-upload-pack", "", *_V0), _REFS, id="v0"),
        pytest.param(("# service=git-upload-pack", "", "version 1", *_V0), _REFS, id="v1"),
        pytest.param((*_V0[:-1], f"shallow {_B}", ""), _REFS, id="shallow"),
        pytest.param((f"{'0' * 40} capabilities^{{}}\0agent=git", ""), Listing({}), id="no-refs"),
        pytest.param(("# service=git-upload-pack", "", ""), Listing({}), id="nothing"),
        pytest.param((f"{_A} HEAD\0agent=git", ""), Listing({"HEAD": _A}), id="no-symref"),
    ],
)
def test_an_advertisement_is_read(lines: tuple[str, ...], expected: Capabilities | Listing) -> None:
    assert read_advertisement(_stream(*lines)) == expected


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        pytest.param((), ValueError, id="empty"),
        pytest.param(("# service=git-upload-pack", *_V2), ValueError, id="no-flush"),
        pytest.param(_V2[:-1], ValueError, id="v2-cut"),
        pytest.param(("version 2", "fetch", ""), ValueError, id="no-ls-refs"),
        pytest.param(_V0[:-1], ValueError, id="v0-cut"),
        pytest.param(("abc HEAD", ""), ValueError, id="no-id"),
        pytest.param((_A, ""), ValueError, id="no-name"),
        pytest.param(("ERR access denied",), ServerError, id="err"),
        pytest.param(
            ("version 2", "ls-refs", "object-format=sha256", ""), UnsupportedFormat, id="v2-sha256"
        ),
        pytest.param(
            (f"{'a' * 64} HEAD\0object-format=sha256", ""), UnsupportedFormat, id="v0-sha256"
        ),
    ],
)
def test_what_is_no_advertisement_is_refused(
    lines: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_advertisement(_stream(*lines))


def test_ls_refs_asks_for_peeled_refs_with_their_targets() -> None:
    asked = ls_refs(Capabilities(_OFFERED), ("refs/heads/main",), agent="git/me")
    assert asked == (
        b"0014command=ls-refs\n" + b"0011agent=git/me\n" + b"0017object-format=sha1\n" + b"0001"
        b"0009peel\n" + b"000csymrefs\n" + b"001fref-prefix refs/heads/main\n" + b"0000"
    )


def test_ls_refs_names_only_what_the_server_offers() -> None:
    asked = ls_refs(Capabilities({"ls-refs": ""}), (), agent="git/me")
    assert asked == b"0014command=ls-refs\n00010009peel\n000csymrefs\n0000"


def test_the_answer_to_ls_refs_is_read() -> None:
    answer = _stream(
        f"{_A} HEAD symref-target:refs/heads/main",
        f"{_A} refs/heads/main",
        f"{_B} refs/tags/v1 peeled:{_C}",
        "unborn refs/heads/none symref-target:refs/heads/x",
        "",
    )
    assert read_ls_refs(answer) == _REFS


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((), id="empty"),
        pytest.param((f"{_A} HEAD",), id="cut"),
        pytest.param((f"{_A} HEAD", "", f"{_A} refs/heads/x", ""), id="after-the-end"),
        pytest.param((f"{_A} HEAD peeled:x", ""), id="peeled-to-nothing"),
        pytest.param((f"{_A}  x", ""), id="no-name"),
        pytest.param(("x HEAD", ""), id="no-id"),
    ],
)
def test_what_is_no_answer_to_ls_refs_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"ref|list"):
        read_ls_refs(_stream(*lines))


def test_an_error_in_place_of_refs_is_the_servers() -> None:
    with pytest.raises(ServerError, match=r"^no such repository$"):
        read_ls_refs(_stream("ERR no such repository"))


_NAMES = st.text(string.ascii_letters + "/-._", min_size=1)
_IDS = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(st.dictionaries(_NAMES, _IDS))
def test_every_ref_a_server_lists_is_found(refs: dict[str, str]) -> None:
    lines = [f"{found} {name}" for name, found in refs.items()]
    assert read_ls_refs(_stream(*lines, "")).refs == refs


@given(st.binary(max_size=300))
def test_any_bytes_are_a_listing_or_a_known_error(body: bytes) -> None:
    for reader in (read_ls_refs, read_advertisement):
        for stream in (body, packet(body), packet(body) + _FLUSH):
            with suppress(ValueError, ServerError, UnsupportedFormat):
                reader(stream)
