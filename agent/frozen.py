"""What a PyInstaller binary needs at its start, and a checkout does not.

The one-file binary is two processes: the outer one unpacks a folder, starts the inner one, which
is Python, passes signals on to it and removes the folder at its end. When it cannot, because it
was killed, the inner one notices, ends as after SIGTERM, and removes the folder itself; what is
left when both are killed is swept by the next start. (python_ecosystem.md, section 8.3.)
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent import scratch

MARKER: Final = "lightkeeper.bundle"
"""A file in each folder that is ours; other programs' folders are named alike."""

_UNPACKED: Final = "_MEI"
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def is_frozen() -> bool:
    """Whether this is the binary, not a checkout or an installed package."""
    return bool(getattr(sys, "frozen", False))


def settle() -> None:
    """Undo what the loader did to the environment, and keep the unpacked folder's promises.

    To be called first, once, by the process that people start; the git workers need none of it.
    """
    if not is_frozen():
        return
    restore_library_path()
    if (unpacked := _unpacked()) is not None:
        with suppress(OSError):  # no locks on this file system: then there is no sweeping either
            scratch.lock(unpacked, shared=True)
        _follow_outer(unpacked)
        scratch.sweep(unpacked.parent, f"{_UNPACKED}*", marker=MARKER)


def restore_library_path() -> None:
    """Give children the user's LD_LIBRARY_PATH: the loader's would have them load our libraries."""
    original = os.environ.pop("LD_LIBRARY_PATH_ORIG", "")
    os.environ.pop("LD_LIBRARY_PATH", "")
    if original:
        os.environ["LD_LIBRARY_PATH"] = original


def loader_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what another process of this binary needs, to use the libraries already unpacked.

    Without it the process would unpack the one-file binary once more, or not find its libraries.
    """
    loaders = {name: environ[name] for name in environ if name.startswith("_PYI_")}
    paths = (getattr(sys, "_MEIPASS", ""), environ.get("LD_LIBRARY_PATH", ""))
    return loaders | {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths))}


def die_with_parent(number: signal.Signals) -> None:
    """Have the system send this process a signal when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _unpacked() -> Path | None:
    """Return the folder the one-file binary unpacked itself to; None in the folder build."""
    bundle = Path(getattr(sys, "_MEIPASS", ""))
    return bundle if bundle.name.startswith(_UNPACKED) else None


def _follow_outer(unpacked: Path) -> None:
    outer = os.getppid()
    atexit.register(_remove_if_orphaned, unpacked, outer)
    die_with_parent(signal.SIGTERM)
    if not _is_ours(outer):  # it ended before the system was asked to tell
        os.kill(os.getpid(), signal.SIGTERM)


def _is_ours(pid: int) -> bool:
    """Whether a process runs this very program; True also where that may not be asked."""
    try:
        return os.path.samefile(f"/proc/{pid}/exe", "/proc/self/exe")
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _remove_if_orphaned(unpacked: Path, outer: int) -> None:
    if os.getppid() != outer:
        shutil.rmtree(unpacked, ignore_errors=True)
