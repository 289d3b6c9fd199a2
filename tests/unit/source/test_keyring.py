"""Keyrings of both kinds: what is in them is found, and nothing breaks on what is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysequoia import ArmorKind, SignatureMode, Tsk, armor, sign

from agent.source.errors import SignatureError
from agent.source.signatures.keyring import Keyring
from agent.source.signatures.signed import Signed
from tests.unit.source.test_signers import KEY
from tests.unit.source.test_sshsig import armored, blob, packed

ADA, EVE = (Tsk.generate(f"{name} <{name}@example.org>") for name in ("ada", "eve"))
PAYLOAD = b"tree 1\n\nmessage\n"
KEYRING = Keyring.parse({"ada.asc": str(ADA.extract_certificate()).encode()})


def detached(by: Tsk, payload: bytes = PAYLOAD) -> bytes:
    signature: bytes = sign(by.signer(), payload, mode=SignatureMode.DETACHED)
    return signature


def check(signature: bytes) -> str:
    return str(KEYRING.check(Signed(PAYLOAD, signature, None), now=2e9))


def test_keys_of_both_kinds_may_lie_side_by_side() -> None:
    both = b"".join(bytes(key.extract_certificate()) for key in (ADA, EVE))
    texts = "".join(str(key.extract_certificate()) for key in (ADA, EVE)).encode()
    for content in (both, texts):
        keyring = Keyring.parse({"ring": content, "ada.sshpub": KEY.encode()})
        assert [c.name for c in keyring.certificates] == [
            "ada <ada@example.org>",
            "eve <eve@example.org>",
        ]
        assert len(keyring.ssh_keys) == 1


def test_a_good_signature_names_its_signer() -> None:
    fingerprint = ADA.extract_certificate().fingerprint.upper()
    assert check(detached(ADA)) == f"OpenPGP 0x{fingerprint} by ada <ada@example.org>"


SIGNATURES = {
    "another key": (detached(EVE), "not among the given ones"),
    "other data": (detached(ADA, b"other"), "does not hold"),
    "two": (detached(ADA) * 2, "no end, or two"),
    "cut off": (detached(ADA)[:-30], "no end, or two"),
    "something after it": (detached(ADA) + b"x", "no end, or two"),
    "a key": (
        armor(bytes(ADA.extract_certificate()), ArmorKind.Signature).encode(),
        "malformed: Not a signature",
    ),
    "a message": (b"-----BEGIN PGP MESSAGE-----\n\nAA==\n-----END PGP MESSAGE-----", "known kind"),
    "X.509": (b"-----BEGIN SIGNED MESSAGE-----\nAA==\n", "S/MIME), which is not supported"),
    "nothing": (b"", "of no known kind"),
}


@pytest.mark.parametrize(("signature", "reason"), SIGNATURES.values(), ids=SIGNATURES)
def test_any_other_signature_is_refused_with_the_reason(signature: bytes, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        check(signature)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("namespace", [b"git", b"\x1b[31m\n"])
def test_what_a_stranger_wrote_cannot_paint_the_terminal(namespace: bytes) -> None:
    stranger = blob(packed(b"\x1b[31m\n"), lambda data: data, namespace=namespace)
    with pytest.raises(SignatureError) as caught:
        check(armored(stranger))
    assert str(caught.value).isprintable()


@settings(deadline=None)
@given(st.binary())
def test_no_signature_raises_anything_else(data: bytes) -> None:
    for packets in (data, b"\xc2" + bytes([min(len(data), 191)]) + data, b"\x88" + data):
        with pytest.raises(SignatureError):
            check(armor(packets, ArmorKind.Signature).encode())


@settings(deadline=None)
@given(st.data())
def test_a_signature_with_one_byte_changed_raises_nothing_else(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD) - 1))
    other = data.draw(st.integers(0, 255))
    try:
        check(GOOD[:place] + bytes([other]) + GOOD[place + 1 :])
    except SignatureError as error:
        assert "\n" not in str(error)


GOOD = detached(ADA)


@settings(deadline=None)
@given(st.binary() | st.binary().map(lambda data: bytes(ADA.extract_certificate())[:60] + data))
def test_no_keyring_raises_anything_else(data: bytes) -> None:
    try:
        Keyring.parse({"ring": data})
    except SignatureError as error:
        assert "ring" in str(error)
        assert "\n" not in str(error)
