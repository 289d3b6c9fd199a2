"""What of a commit or tag was signed: the object without its signature, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.source.errors import SignatureError
from agent.source.signatures.signed import of_commit, of_tag, tag_name

TREE = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
WHO = b"author A <a@b> 1 +0000\ncommitter Ada > <a@b> 1700000000 +0100\n"
SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nAA==\n-----END SSH SIGNATURE-----"
HEADER = b"gpgsig " + SIGNATURE.replace(b"\n", b"\n ") + b"\n"
MERGED = b"mergetag object 1\n tag v1\n gpgsig x\n -----BEGIN PGP SIGNATURE-----\n"

COMMITS = {
    "last header": (TREE + WHO + HEADER + b"\nmessage\n", TREE + WHO + b"\nmessage\n"),
    "headers after it": (
        TREE + WHO + HEADER + b"encoding latin1\n\nm",
        TREE + WHO + b"encoding latin1\n\nm",
    ),
    "a merged tag, signed": (
        TREE + WHO + MERGED + HEADER + b"\nm",
        TREE + WHO + MERGED + b"\nm",
    ),
    "one for SHA-256 beside it": (
        TREE + WHO + HEADER + b"gpgsig-sha256 x\n y\n\nm",
        TREE + WHO + b"\nm",
    ),
    "gpgsig in the message": (
        TREE + WHO + HEADER + b"\ngpgsig x\n\n" + HEADER,
        TREE + WHO + b"\ngpgsig x\n\n" + HEADER,
    ),
    "no message": (TREE + WHO + HEADER + b"\n", TREE + WHO + b"\n"),
    "an unknown header": (
        TREE + WHO + b"gpgsigned x\n" + HEADER + b"\nm",
        TREE + WHO + b"gpgsigned x\n\nm",
    ),
}


@pytest.mark.parametrize(("raw", "payload"), COMMITS.values(), ids=COMMITS)
def test_a_commit_is_signed_without_its_signature(raw: bytes, payload: bytes) -> None:
    signed = of_commit(raw)
    assert (signed.payload, signed.signature) == (payload, SIGNATURE)
    assert signed.at == 1_700_000_000


COMMITS_REFUSED = {
    "unsigned": (TREE + WHO + b"\nm", "not signed"),
    "signed in its message": (TREE + WHO + b"\n" + HEADER, "not signed"),
    "only for SHA-256": (TREE + WHO + b"gpgsig-sha256 x\n\nm", "not signed"),
    "only a merged tag": (TREE + WHO + MERGED + b"\nm", "not signed"),
    "twice": (TREE + WHO + HEADER + HEADER + b"\nm", "two gpgsig headers"),
    "twice, apart": (TREE + HEADER + WHO + HEADER + b"\nm", "two gpgsig headers"),
    "twice for SHA-256": (
        TREE + WHO + HEADER + b"gpgsig-sha256 x\ngpgsig-sha256 x\n\nm",
        "two gpgsig-sha256 headers",
    ),
    "nothing": (b"", "not signed"),
}


@pytest.mark.parametrize(("raw", "reason"), COMMITS_REFUSED.values(), ids=COMMITS_REFUSED)
def test_a_commit_is_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        of_commit(raw)


TAG = b"object 1\ntype commit\ntag v1\ntagger Ada <a@b> 1700000000 +0000\n\n"


def test_a_tag_is_signed_up_to_its_last_signature() -> None:
    quoted = TAG + b"as in\n" + SIGNATURE + b"\n"
    signed = of_tag(quoted + SIGNATURE + b"\n")
    assert (signed.payload, signed.signature) == (quoted, SIGNATURE + b"\n")
    assert signed.at == 1_700_000_000
    assert tag_name(quoted) == "v1"


@pytest.mark.parametrize("message", [b"m\n", b"see -----BEGIN SSH SIGNATURE-----\n"])
def test_a_tag_without_a_signature_is_refused(message: bytes) -> None:
    with pytest.raises(SignatureError, match="not signed"):
        of_tag(TAG + message)


def test_a_tag_without_a_tagger_has_no_time() -> None:
    assert of_tag(b"object 1\ntype commit\ntag v1\n\n" + SIGNATURE).at is None


@settings(deadline=None)
@given(st.binary() | st.lists(st.sampled_from([TREE, WHO, HEADER, MERGED, b"\n"])).map(b"".join))
def test_no_object_raises_anything_else(raw: bytes) -> None:
    for taken_apart in (of_commit, of_tag):
        try:
            signed = taken_apart(raw)
        except SignatureError:
            continue
        assert len(signed.payload) + len(signed.signature) <= len(raw)
    tag_name(raw)
