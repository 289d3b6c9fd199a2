"""A build without PyInstaller: a copy of the agent, with what the build writes into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def stand_in(folder: Path, *, commit: str = COMMIT) -> Path:
    """Make a program that answers as the binary does; return where it is."""
    shutil.copytree(ROOT / "agent", folder / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    notices(folder / "agent", commit=commit).check_returncode()
    program = folder / "lightkeeper"
    program.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH={folder} PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {sys.executable} -P -m agent "$@"\n'
    )
    program.chmod(0o755)
    return program
