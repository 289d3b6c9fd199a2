"""A verdict holds while nothing that matters changes, and outlives the process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.manifest.keys import ObjectKey
from agent.plan.ownership import Record
from agent.reconcile.passes import verdicts as module
from agent.reconcile.passes.verdicts import Verdicts

pytestmark = pytest.mark.asyncio

KEY = ObjectKey("", "ConfigMap", "shop", "a")
LIVE = Record(KEY, "uid-1", "10", "lightkeeper/shop", False, b"live")
DESIRED = b"desired"


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"resource_version": "11"}, True),  # only status or volatile metadata changed
        ({"resource_version": "11", "digest": b"edited"}, False),
        ({"resource_version": "9", "digest": b"before"}, True),  # the watch lags behind our write
        ({"uid": "uid-2"}, False),
        ({"deleting": True}, False),
        ({"resource_version": "opaque", "digest": b"edited"}, False),
    ],
    ids=str,
)
async def test_what_a_later_look_at_the_object_means(
    tmp_path: Path, change: dict[str, Any], holds: bool
) -> None:
    verdict = Verdicts(tmp_path / "v").put(DESIRED, LIVE)
    assert verdict.covers(DESIRED, replace(LIVE, **change)) is holds
    assert not verdict.covers(b"another", replace(LIVE, **change))


async def test_a_manifest_is_accepted_for_the_one_object_that_it_was_tried_on(
    tmp_path: Path,
) -> None:
    verdict = Verdicts(tmp_path / "v").put(DESIRED, LIVE)
    assert verdict.accepted(DESIRED) == "uid-1"
    assert verdict.accepted(b"another") == ""


async def test_a_manifest_once_patched_in_vain_is_not_accepted_until_it_or_the_object_is_another(
    tmp_path: Path,
) -> None:
    verdicts = Verdicts(tmp_path / "v")
    assert verdicts.put(DESIRED, LIVE, in_vain=True).accepted(DESIRED) == ""
    assert verdicts.put(DESIRED, replace(LIVE, digest=b"edited")).accepted(DESIRED) == ""
    await verdicts.save()
    later = Verdicts(tmp_path / "v")
    await later.load()
    assert later.put(DESIRED, LIVE).accepted(DESIRED) == ""
    assert later.put(b"another", LIVE).accepted(b"another") == "uid-1"
    assert verdicts.put(DESIRED, replace(LIVE, uid="uid-2")).accepted(DESIRED) == "uid-2"


async def test_an_older_object_is_news_once_the_watch_must_have_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = Verdicts(tmp_path / "v").put(DESIRED, LIVE)
    monkeypatch.setattr(module, "WATCH_LAG", -1.0)
    restored = replace(LIVE, resource_version="3", digest=b"restored")
    assert not verdict.covers(DESIRED, restored), "an etcd restored from a backup counts anew"


async def test_verdicts_outlive_the_process_but_not_their_age(tmp_path: Path) -> None:
    before = Verdicts(tmp_path / "deep" / "v")
    before.put(DESIRED, LIVE)
    await before.save()
    after = Verdicts(tmp_path / "deep" / "v")
    await after.load()
    verdict = after.get(KEY)
    assert verdict is not None
    assert verdict.covers(DESIRED, LIVE)
    assert not verdict.covers(DESIRED, replace(LIVE, resource_version="9", digest=b"before"))
    assert after.objects() == {KEY}


async def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "v"
    kept = Verdicts(path)
    kept.put(DESIRED, LIVE)
    await kept.save()
    written = path.stat().st_mtime_ns
    kept.retain([KEY])
    await kept.save()
    assert path.stat().st_mtime_ns == written
    kept.retain([])
    await kept.save()
    assert path.stat().st_mtime_ns != written


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x82\xa7made_by\xa1x\xa8verdicts\x90"])
async def test_an_unusable_file_is_left_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v").write_bytes(content)
    kept = Verdicts(tmp_path / "v")
    await kept.load()
    assert kept.get(KEY) is None


async def test_the_verdicts_of_another_version_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Verdicts(tmp_path / "v")
    before.put(DESIRED, LIVE)
    await before.save()
    monkeypatch.setattr(module, "__version__", "0.0.0")
    after = Verdicts(tmp_path / "v")
    await after.load()
    assert after.get(KEY) is None


async def test_the_verdicts_of_another_context_are_not_taken(tmp_path: Path) -> None:
    before = Verdicts(tmp_path / "v", context="one cluster")
    before.put(DESIRED, LIVE)
    await before.save()
    assert (tmp_path / "v").stat().st_mode & 0o777 == 0o600
    after = Verdicts(tmp_path / "v", context="another cluster")
    await after.load()
    assert after.get(KEY) is None


async def test_a_folder_that_cannot_be_written_costs_nothing_but_the_saving(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Verdicts(Path("/proc/none/v"))
    kept.put(DESIRED, LIVE)
    await kept.save()
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({}, True),
        ({"resource_version": "11"}, True),  # only status or volatile metadata changed
        ({"resource_version": "9"}, False),  # what comes after it may be late as well
        ({"resource_version": "11", "digest": b"edited"}, False),
        ({"uid": "uid-2"}, False),
        ({"deleting": True}, False),
    ],
    ids=str,
)
async def test_a_record_of_the_same_content_is_kept_once(
    tmp_path: Path, change: dict[str, Any], shared: bool
) -> None:
    verdicts = Verdicts(tmp_path / "v")
    before = verdicts.put(DESIRED, LIVE)
    watched = replace(LIVE, **change)
    verdicts.share(watched)
    after = verdicts.get(KEY)
    assert after is not None
    assert (after.live is watched) is shared
    assert (after.desired, after.note, after.seen_at) == (
        before.desired,
        before.note,
        before.seen_at,
    )


async def test_a_record_of_an_object_without_a_verdict_makes_none(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path / "v")
    verdicts.share(LIVE)
    assert verdicts.get(KEY) is None
