"""Lines of authorized_keys and allowed_signers: whom they trust, until when, what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.source.errors import SignatureError
from agent.source.signatures.sshkeys import TrustedKey, parse_lines

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDLxi3mLHsRvMcDSF5nJZJ1Z3nQLPw0oKHnHcHDYPAKt"
FEBRUARY = 1_769_904_000  # 2026-02-01T00:00:00Z
DAY = 86_400

NAMES = {
    "a comment": (f"{KEY} Ada at work", "Ada at work"),
    "no comment": (KEY, ""),
    "options and a comment": (f'command="a \\"b\\" c",restrict {KEY} Ada', "Ada"),
    "a principal": (f"ada@example.org {KEY} laptop", "ada@example.org"),
    "principals": (f"ada@example.org,*@example.net {KEY}", "ada@example.org,*@example.net"),
    "quoted principals": (f'"ada@example.org" {KEY}', "ada@example.org"),
    "everybody": (f"* {KEY}", "*"),
    "a principal and options": (f'ada@example.org namespaces="git" {KEY}', "ada@example.org"),
    "options in capitals": (f'ada Namespaces="git",NO-TOUCH-REQUIRED {KEY}', "ada"),
    "spaces around": (f"  {KEY}\tAda  ", "Ada"),
}


@pytest.mark.parametrize(("line", "name"), NAMES.values(), ids=NAMES)
def test_a_line_of_either_file_is_a_key_and_whose_it_is(line: str, name: str) -> None:
    (key,) = parse_lines(line, source="keys")
    assert key.name == name
    assert key.objection(at=None, now=0, flags=None) == ""


def test_comments_and_empty_lines_are_no_keys() -> None:
    assert parse_lines(f"# Ada\n\n{KEY}\r\n \n#{KEY}\n", source="keys") == (
        parse_lines(KEY, source="keys")
    )


LINES_REFUSED = {
    "rubbish": ("hello world", "not a public SSH key"),
    "type alone": ("ssh-ed25519", "not a public SSH key"),
    "no base64": ("ssh-ed25519 AAAA!", "not base64"),
    "another type": (KEY.replace("ssh-ed25519 ", "ssh-rsa "), "not of the type"),
    "DSA": ("ssh-dss AAAAB3NzaC1kc3M=", "'ssh-dss' are not supported"),
    "cut off": (KEY[:-8], "malformed"),
    "an authority": (f"* cert-authority {KEY}", "cert-authority) are not supported"),
    "an authority of logins": (f"cert-authority {KEY}", "cert-authority) are not supported"),
    "a certificate": ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificates are not supported"),
    "unknown option": (f'ada colour="red" {KEY}', "options cannot be read"),
    "open quote": (f'ada namespaces="git {KEY}', "not a public SSH key"),
    "no time": (f'ada valid-before="soon" {KEY}', "'soon' is not a time"),
    "no such day": (f'ada valid-after="20261301" {KEY}', "'20261301' is not a time"),
}


@pytest.mark.parametrize(("line", "reason"), LINES_REFUSED.values(), ids=LINES_REFUSED)
def test_a_line_that_cannot_be_used_is_told_with_its_place(line: str, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        parse_lines(f"# signers\n{line}\n", source="keys")
    assert str(caught.value).startswith("keys:2: ")
    assert reason in str(caught.value)


OBJECTIONS = {
    "another namespace": ('namespaces="file"', FEBRUARY, FEBRUARY, "may not sign for git"),
    "git among others": ('namespaces="file,g?t"', FEBRUARY, FEBRUARY, ""),
    "all but git": ('namespaces="*,!git"', FEBRUARY, FEBRUARY, "may not sign for git"),
    "before its time": ('valid-after="20260202Z"', FEBRUARY, FEBRUARY, "is not valid before"),
    "made before its time": (
        'valid-after="20260201Z"', FEBRUARY - DAY, FEBRUARY + DAY, "is not valid before",
    ),
    "in its time": ('valid-after="20260201Z"', FEBRUARY, FEBRUARY, ""),
    "after its time": (
        'valid-before="20260201Z"', FEBRUARY, FEBRUARY, "from 2026-02-01T00:00:00Z on",
    ),
    "made in its time, which is over": (
        'valid-before="20260201Z"', FEBRUARY - DAY, FEBRUARY, "from 2026-02-01T00:00:00Z on",
    ),
    "by the minute": ('valid-before="202602010001Z"', FEBRUARY + 59, FEBRUARY + 59, ""),
    "by the second": ('valid-before="20260201000001Z"', FEBRUARY + 1, FEBRUARY + 1, "is not valid"),
    "expired login": ('expiry-time="20260201Z"', FEBRUARY, FEBRUARY, "is not valid from"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "at", "now", "objection"), OBJECTIONS.values(), ids=OBJECTIONS)
def test_a_key_counts_only_for_what_and_when_its_line_says(
    options: str, at: int, now: int, objection: str
) -> None:
    (key,) = parse_lines(f"ada {options} {KEY}", source="keys")
    found = key.objection(at=at, now=now, flags=None)
    assert objection in found
    assert bool(objection) == bool(found)


def test_a_time_without_a_zone_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC-2")  # two hours east
    time.tzset()
    try:
        (key,) = parse_lines(f'ada valid-after="20260201" {KEY}', source="keys")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert key.valid_after == FEBRUARY - 7200
    assert key.valid_before == math.inf


FLAGS = {
    "touched": ("", 1, ""),
    "touched and known": ("", 5, ""),
    "not touched": ("", 0, "was not touched"),
    "need not be touched": ("no-touch-required ", 0, ""),
    "has to be known": ("verify-required ", 1, "without PIN"),
    "is known": ("verify-required ", 5, ""),
    "no security key": ("verify-required ", None, ""),
}


@pytest.mark.parametrize(("options", "flags", "objection"), FLAGS.values(), ids=FLAGS)
def test_a_security_key_has_to_be_touched_as_its_line_says(
    options: str, flags: int | None, objection: str
) -> None:
    (key,) = parse_lines(f"{options}{KEY}", source="keys")
    found = key.objection(at=0, now=0, flags=flags)
    assert objection in found
    assert bool(objection) == bool(found)


@settings(deadline=None)
@given(st.text() | st.text(alphabet=' "\\,=#abgit-').map(lambda text: f"{text} {KEY}"))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        keys = parse_lines(text, source="keys")
    except SignatureError:
        return
    assert all(isinstance(key, TrustedKey) for key in keys)
