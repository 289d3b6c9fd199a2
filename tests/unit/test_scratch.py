"""Folders of killed processes are swept; those of living ones, and other people's, are not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent import scratch


def _folder(parent: Path, name: str, *, age: float, marker: bool = True) -> Path:
    folder = parent / name
    folder.mkdir()
    if marker:
        (folder / "ours").touch()
    then = time.time() - age
    os.utime(folder, (then, then))
    return folder


def test_what_nobody_holds_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    dead = _folder(tmp_path, "x-dead", age=120)
    scratch.sweep(tmp_path, "x-*", marker="ours")
    assert not dead.exists()


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_held_stays(tmp_path: Path, shared: bool) -> None:
    alive = _folder(tmp_path, "x-alive", age=120)
    held = scratch.lock(alive, shared=shared)
    scratch.sweep(tmp_path, "x-*")
    assert (alive / "ours").exists()
    os.close(held)
    scratch.sweep(tmp_path, "x-*")
    assert not alive.exists()


def test_what_was_made_just_now_stays(tmp_path: Path) -> None:
    starting = _folder(tmp_path, "x-starting", age=5)
    scratch.sweep(tmp_path, "x-*")
    assert starting.exists()


def test_other_folders_and_links_stay(tmp_path: Path) -> None:
    unmarked = _folder(tmp_path, "x-unmarked", age=120, marker=False)
    other = _folder(tmp_path, "y-other", age=120)
    (tmp_path / "x-link").symlink_to(other)
    os.utime(tmp_path / "x-link", (0, 0), follow_symlinks=False)
    scratch.sweep(tmp_path, "x-*", marker="ours")
    assert unmarked.exists()
    assert (other / "ours").exists()


def test_what_belongs_to_another_user_stays_even_for_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = _folder(tmp_path, "x-others", age=120)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    scratch.sweep(tmp_path, "x-*", marker="ours")
    assert others.exists()


def test_a_lock_that_another_has_is_an_error(tmp_path: Path) -> None:
    held = scratch.lock(tmp_path)
    with pytest.raises(BlockingIOError):
        scratch.lock(tmp_path)
    os.close(held)
