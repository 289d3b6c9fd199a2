"""Write the manifests beside this script and the systemd unit, as ``install --export`` prints them.

    python packaging/manifests/generate.py             write them
    python packaging/manifests/generate.py --check     exit 1 when one is stale

Nobody is asked for the rights, so that they come out the same everywhere: ``--offline``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

KINDS = "deployments.apps,services,configmaps"
FILES = {
    "deployment": (HERE / "deployment.yaml", ()),
    "daemonset": (HERE / "daemonset.yaml", ()),
    "sidecar": (HERE / "sidecar.yaml", ("--namespace=shop",)),
    "systemd": (HERE.parent / "systemd" / "lightkeeper.service", ()),
}
"""Each mode's file, and the flags it takes beyond the configuration."""


def main() -> int:
    """Run the script; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale = []
    for mode, (path, flags) in FILES.items():
        text = printed(mode, flags)
        if check and (not path.exists() or path.read_text() != text):
            stale.append(str(path.relative_to(ROOT)))
        elif not check:
            path.write_text(text)
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; make manifests writes them anew\n")
    return 1 if stale else 0


def printed(mode: str, flags: tuple[str, ...]) -> str:
    """Return what the command prints for the configuration of this folder."""
    command = [sys.executable, "-m", "agent", "install", "--export", f"--mode={mode}"]
    command += [f"--config={HERE / 'lightkeeper.toml'}", "--offline", f"--kinds={KINDS}", *flags]
    environment = {"PATH": os.environ.get("PATH", "")}
    done = subprocess.run(  # noqa: S603  # our own program
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
