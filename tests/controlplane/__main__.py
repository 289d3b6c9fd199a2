"""``python -m tests.controlplane``: a control plane to play with, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path

from tests.controlplane.process import ServerError
from tests.controlplane.server import ControlPlane, find_assets


def main() -> int:
    """Run one control plane; 0 when it was stopped on purpose, 1 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    parser.add_argument("--assets", type=Path, help="the folder that holds etcd and kube-apiserver")
    parser.add_argument("--check", action="store_true", help="stop as soon as it serves")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run(arguments.assets or find_assets(), check=arguments.check)
        except ServerError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def run(assets: Path, *, check: bool) -> None:
    """Start, say how to get in, and wait for the interrupt unless only checking."""
    started = time.monotonic()
    with ControlPlane(assets) as control_plane:
        took = time.monotonic() - started
        print(f"{control_plane.url} is ready after {took:.1f} s; Ctrl-C ends it", file=sys.stderr)
        if not check:
            print(f"export KUBECONFIG={control_plane.kubeconfig}", flush=True)
            signal.pause()


if __name__ == "__main__":
    sys.exit(main())
