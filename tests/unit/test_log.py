"""Log lines: their two forms, fields bound and given, exceptions, and what never gets out."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from typing import Any

import pytest

from agent import log

logger = logging.getLogger("agent.test")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def configured(
    *, level: log.Level = "info", format: log.Format = "auto", terminal: bool = False, **more: bool
) -> io.StringIO:
    stream = Terminal() if terminal else io.StringIO()
    log.configure(level=level, format=format, stream=stream, **more)
    return stream


def line(stream: io.StringIO) -> dict[str, Any]:
    """The only line there is, decoded."""
    (only,) = stream.getvalue().splitlines()
    decoded: dict[str, Any] = json.loads(only)
    return decoded


def test_off_a_terminal_a_line_is_one_json_object() -> None:
    stream = configured()
    logger.info("object configured", extra=log.fields(object="Pod a/b", took_ms=3, ok=True))
    found = line(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("ts"))
    assert found == {
        "level": "info",
        "msg": "object configured",
        "logger": "agent.test",
        "object": "Pod a/b",
        "took_ms": 3,
        "ok": True,
    }


def test_on_a_terminal_a_line_is_text_without_the_logger() -> None:
    stream = configured(terminal=True, colour=False)
    logger.warning("pass held", extra=log.fields(track="shop", why='50 % of "all"', empty=""))
    time, text = stream.getvalue().split(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time)
    message = f"{'pass held':<32}"
    assert text == f'WARNING {message}  track=shop  why="50 % of \\"all\\""  empty=""\n'


@pytest.mark.parametrize(
    ("terminal", "format", "colour", "expected"),
    [
        (True, "auto", True, True),
        (True, "auto", False, False),
        (True, "json", True, False),
        (False, "text", True, False),
        (False, "auto", True, False),
    ],
    ids=["terminal", "NO_COLOR", "JSON on a terminal", "text in a file", "JSON in a file"],
)
def test_only_text_on_a_terminal_has_colour(
    terminal: bool, format: log.Format, colour: bool, expected: bool
) -> None:
    stream = configured(terminal=terminal, format=format, colour=colour)
    logger.error("x")
    assert ("\x1b[" in stream.getvalue()) is expected


def test_text_off_a_terminal_has_the_whole_date() -> None:
    stream = configured(format="text")
    logger.info("x")
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z INFO    x", stream.getvalue())


def test_bound_fields_are_on_every_line_inside_and_on_none_after() -> None:
    stream = configured()
    with log.bind(track="a", revision="r1"):
        with log.bind(track="b"):
            logger.info("inner")
        logger.info("outer", extra=log.fields(revision="r2"))
    logger.info("after")
    inner, outer, after = (json.loads(text) for text in stream.getvalue().splitlines())
    assert (inner["track"], inner["revision"]) == ("b", "r1")
    assert (outer["track"], outer["revision"]) == ("a", "r2")
    assert "track" not in after


@pytest.mark.asyncio
async def test_bound_fields_follow_tasks_and_threads_and_do_not_mix() -> None:
    stream = configured()

    async def work(track: str, met: asyncio.Barrier) -> None:
        with log.bind(track=track):
            await met.wait()
            logger.info(track)
            await asyncio.to_thread(logger.info, track)

    barrier = asyncio.Barrier(2)
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(work(name, barrier))
    found = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert len(found) == 4
    assert all(each["track"] == each["msg"] for each in found)


def test_an_exception_is_one_field_and_its_traceback_is_for_debug() -> None:
    for level, shown in (("info", False), ("debug", True)):
        stream = configured(level="debug" if level == "debug" else "info")
        try:
            raise KeyError("pod")
        except KeyError:
            logger.exception("pass failed")
        found = line(stream)
        assert found["error"] == "KeyError: 'pod'"
        assert ("test_log.py" in found.get("traceback", "")) is shown


def test_a_traceback_in_text_is_indented() -> None:
    stream = configured(level="debug", format="text")
    try:
        raise ValueError("x")
    except ValueError:
        logger.exception("pass failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith('error="ValueError: x"')
    assert rest
    assert all(text.startswith("    ") for text in rest)


@pytest.mark.parametrize("format", ["text", "json"])
def test_what_is_logged_cannot_look_like_another_line_or_steer_the_terminal(
    format: log.Format,
) -> None:
    stream = configured(format=format)
    evil = "x\n2026-01-01T00:00:00.000Z INFO all is well\x1b[2J\x9b31m\r"
    logger.info("commit %s", evil, extra=log.fields(subject=evil))
    first, *rest = stream.getvalue().removesuffix("\n").split("\n")
    assert first
    assert all(text.startswith("    ") for text in rest)
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize(
    "url",
    [
        "https://me:S3CR3T@example.org/r",
        "https://S3CR3T@example.org/r",
        "HTTP://me:S3CR3T@@example.org/r",
        "ssh://git:S3CR3T@example.org/r",
    ],
)
def test_a_password_in_a_url_never_gets_out(format: log.Format, url: str) -> None:
    stream = configured(format=format, level="debug")
    try:
        raise OSError(f"cannot reach {url}")
    except OSError:
        logger.exception("from %s", url, extra=log.fields(url=url, urls=[url]))
    assert "S3CR3T" not in stream.getvalue()
    assert "example.org/r" in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    ["ssh://git@example.org/r", "https://example.org/@scope/x", "git@example.org:r", "a@b"],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert log.scrub(text) == text


def test_a_field_cannot_take_the_place_of_the_line_s_own() -> None:
    stream = configured()
    logger.info("real", extra=log.fields(msg="false", level="error", error="gone"))
    found = line(stream)
    assert (found["msg"], found["level"], found["error"]) == ("real", "info", "gone")
    assert found["field_msg"] == "false"


def test_numbers_that_json_does_not_know_are_text() -> None:
    stream = configured()
    logger.info("x", extra=log.fields(a=float("nan"), b=float("inf"), c=0.5, d=[1, None]))
    found = line(stream)
    assert [found[key] for key in "abcd"] == ["nan", "inf", 0.5, [1, None]]


def test_libraries_speak_from_warning_on_whatever_the_level() -> None:
    stream = configured(level="debug")
    logging.getLogger("kubernetes_asyncio.rest").debug("response body: password")
    logging.getLogger("apscheduler").warning("missed")
    logger.debug("ours")
    assert [json.loads(text)["msg"] for text in stream.getvalue().splitlines()] == [
        "missed",
        "ours",
    ]


def test_configuring_again_replaces_what_was_configured() -> None:
    old = configured()
    new = configured(level="error")
    logger.info("quiet")
    logger.error("loud")
    assert old.getvalue() == ""
    assert line(new)["msg"] == "loud"
