"""The git worker's process: reads requests, has them carried out one after the other, answers."""

from __future__ import annotations

import argparse
import errno
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

import msgspec

from agent.frozen import die_with_parent
from agent.manifest.errors import IgnoreFileError
from agent.source.errors import ContentsRefused, MirrorDamaged
from agent.source.protocol import (
    Answer,
    Done,
    Failure,
    OnMirror,
    Request,
    decode_request,
    encode,
)
from agent.source.worker import libgit, remote
from agent.source.worker.mirror import Mirror


def serve(requests: queue.SimpleQueue[bytes], answers: BinaryIO, *, homedir: Path) -> None:
    """Answer requests until the process ends."""
    while True:
        request = decode_request(requests.get())
        answers.write(encode(answer(request, homedir=homedir)))
        answers.flush()


def answer(request: Request, *, homedir: Path) -> Answer:
    """Do what is asked; every way it has to fail is a Failure."""
    if isinstance(request, OnMirror):
        return _on_mirror(request)
    return remote.answer(request, homedir=homedir)


def _on_mirror(request: OnMirror) -> Answer:
    try:
        return Done(msgspec.Raw(msgspec.json.encode(_called(request))))
    except MirrorDamaged as error:
        return Failure("mirror", _printable(error))
    except (IgnoreFileError, ContentsRefused) as error:
        return Failure("contents", _printable(error))
    except OSError as error:
        return Failure("machine", _printable(error))
    except MemoryError:
        return Failure("machine", f"{request.mirror}: {os.strerror(errno.ENOMEM)}")
    except Exception as error:  # what is damaged may surprise pygit2 in any way
        return Failure("mirror", f"{request.mirror}: {type(error).__name__}: {_printable(error)}")


def _called(request: OnMirror) -> Any:
    method = getattr(Mirror(Path(request.mirror)), request.method)
    types = get_type_hints(method)
    return method(
        **{name: msgspec.convert(value, types[name]) for name, value in request.arguments.items()}
    )


def _printable(error: Exception) -> str:
    # Names of files may hold bytes that are no UTF-8, and an answer must be.
    return str(error).encode(errors="backslashreplace").decode()


def _read_requests(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    # The main thread may be inside libgit2: only the process's end can interrupt it.
    os._exit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the worker; never returns."""
    parser = argparse.ArgumentParser(prog="git-worker")
    parser.add_argument("--homedir", type=Path, required=True)
    arguments = parser.parse_args(argv)
    # The end of standard input says the same, unless libgit2 keeps the reading thread from it.
    die_with_parent(signal.SIGKILL)
    # Sent when somebody opens a file for writing just while ``folder`` asks whether anybody has.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    libgit.set_homedir(arguments.homedir)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    try:
        serve(requests, sys.stdout.buffer, homedir=arguments.homedir)
    except Exception:
        traceback.print_exc()
    # At its own end Python aborts over the thread that reads, which would pass for libgit2's crash.
    os._exit(1)
