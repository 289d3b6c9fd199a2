"""A build without PyInstaller: a copy of the agent, with what the build writes into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from PyInstaller.archive.writers import CArchiveWriter, ZlibArchiveWriter

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / "packaging" / "binary"
COMMIT = "0123456789ab"
EPOCH = 1767225600  # 2026-01-01


def notices(
    output: Path, *, tools: Path = TOOLS, commit: str = COMMIT
) -> subprocess.CompletedProcess[str]:
    """Run notices.py as the build does."""
    script = str(tools / "notices.py")
    arguments = ["--source", str(ROOT), "--commit", commit, "--output", str(output)]
    return subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def stand_in(folder: Path, *, commit: str = COMMIT, modules: Iterable[str] = ("aiohttp",)) -> Path:
    """Make a program that answers as the binary does; return where it is.

    It is a shell script with PyInstaller's archive of these modules behind it.
    """
    shutil.copytree(ROOT / "agent", folder / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    notices(folder / "agent", commit=commit).check_returncode()
    program = folder / "lightkeeper"
    script = (
        "#!/bin/sh\n"
        f"export PYTHONPATH={folder} PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {sys.executable} -P -m agent "$@"\n'
    )
    program.write_bytes(script.encode() + _archive(folder, modules))
    program.chmod(0o755)
    return program


def _archive(folder: Path, modules: Iterable[str]) -> bytes:
    source, pyz, archive = (folder / name for name in ("empty.py", "PYZ.pyz", "archive"))
    source.write_text("")
    code = compile("", "empty.py", "exec")
    entries = [(name, str(source), "PYMODULE") for name in modules]
    ZlibArchiveWriter(str(pyz), entries, dict.fromkeys(modules, code))
    CArchiveWriter(
        str(archive),
        [("PYZ.pyz", str(pyz), False, "z"), ("libssl.so.3", str(source), True, "b")],
        "libpython3.11.so.1.0",
    )
    return archive.read_bytes()
