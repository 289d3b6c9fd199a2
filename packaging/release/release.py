"""Put a release together: ``make release``, from a clean checkout and its binary.

    python packaging/release/release.py --binary dist/lightkeeper --output dist/release

Writes into the output folder, which is made anew: the binary, what it contains (CycloneDX) and
under which licences, the manifests and monitoring files, and the sums of all these. The same commit
and binary give the same bytes. Refuses, with exit code 1 and a line that says why, what could not
be made again from the commit: changes that are not committed, a version that CHANGELOG.md does not
know, a binary of another commit, a component that the binary does not admit to.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import contents
import sbom

ROOT = Path(__file__).parents[2]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Kubernetes and Go name them
EXTRAS = ("packaging/manifests", "packaging/monitoring", "packaging/systemd", "config.example.toml")
NOT_FOR_USERS = ".py"


class Refused(Exception):
    """This cannot be released; the message says why and what to do."""


def main() -> int:
    """Run the script; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repository", type=Path, default=ROOT)
    parser.add_argument("--binary", type=Path, default=ROOT / "dist" / "lightkeeper")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "release")
    parser.add_argument("--check", action="store_true", help="only whether the checkout is fit")
    options = parser.parse_args()
    try:
        check_checkout(options.repository)
        if not options.check:
            files = assemble(options.repository, options.binary.resolve())
            write(options.output, files)
            sys.stdout.writelines(f"{options.output / name}\n" for name in sorted(files))
    except (Refused, sbom.InvalidSbom) as error:
        sys.stderr.write(f"no release: {error}\n")
        return 1
    return 0


def check_checkout(repository: Path) -> None:
    """Raise Refused unless all is committed and the changelog knows the version."""
    if changes := _git(repository, "status", "--porcelain"):
        raise Refused(f"the checkout has changes; commit or remove them:\n{changes.rstrip()}")
    version = _version(repository)
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE):
        raise Refused(
            f"CHANGELOG.md has no section [{version}]; write it, or correct agent/__init__.py"
        )


def assemble(repository: Path, binary: Path) -> dict[str, bytes]:
    """Return the release's files by name. Raises Refused."""
    told = _asked(binary)
    _check_told(told, repository)
    names = {component["name"] for component in told["components"]}
    if strangers := contents.unaccounted(binary, names):
        raise Refused(
            f"{binary} contains what packaging/binary/components.toml does not account for: "
            f"{', '.join(strangers)}"
        )
    base = f"lightkeeper-{told['version']}"
    machine = told["platform"].partition("/")[2]
    platform_name = f"{base}-linux-{ARCHITECTURES.get(machine, machine)}"
    program = binary.read_bytes()
    digest = hashlib.sha256(program).hexdigest()
    files = {
        platform_name: program,
        f"{platform_name}.cdx.json": sbom.sbom(
            told, sha256=digest, file_name=platform_name
        ).encode(),
        f"{platform_name}-third-party-licenses.txt": told["licenses"].encode(),
        f"{base}-manifests.tar.gz": manifests(repository, base),
    }
    files["SHA256SUMS"] = _sums(files).encode()
    return files


def write(output: Path, files: dict[str, bytes]) -> None:
    """Write the files into a folder that is complete or absent; what was there goes."""
    unfinished = output.with_name(f".{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, data in files.items():
        (unfinished / name).write_bytes(data)
        executable = re.search(r"-linux-[a-z0-9]+$", name)
        (unfinished / name).chmod(0o755 if executable else 0o644)
    shutil.rmtree(output, ignore_errors=True)
    unfinished.rename(output)


def manifests(repository: Path, base: str) -> bytes:
    """Return a gzipped tar of what people apply and copy: same files, same bytes."""
    committed = int(_git(repository, "log", "-1", "--format=%ct"))
    paths = [
        path
        for path in _git(repository, "ls-files", "-z", "--", *EXTRAS).split("\0")
        if path and not path.endswith(NOT_FOR_USERS)
    ]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(paths):
            data = (repository / path).read_bytes()
            entry = tarfile.TarInfo(f"{base}/{path.removeprefix('packaging/')}")
            entry.size, entry.mtime, entry.mode = len(data), committed, 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def _check_told(told: dict[str, Any], repository: Path) -> None:
    version, commit = _version(repository), _git(repository, "rev-parse", "HEAD").strip()
    if told["version"] != version:
        raise Refused(f"the binary is version {told['version']}, not {version}: make binary")
    if not told["commit"] or not commit.startswith(told["commit"]):
        raise Refused(f"the binary is of commit {told['commit']}, not {commit}: make binary")
    if told["platform"] != f"linux/{platform.machine()}":
        raise Refused(f"the binary says that it runs on {told['platform']}")


def _asked(binary: Path) -> dict[str, Any]:
    command = [str(binary), "version", "--licenses", "-o", "json"]
    try:
        asked = subprocess.run(  # noqa: S603  # the binary that is to be released
            command, capture_output=True, text=True, check=False, timeout=60
        )
    except OSError as error:
        raise Refused(f"{binary} does not run: {error.strerror}; make binary") from error
    if asked.returncode != 0:
        raise Refused(f"{binary} does not say what it contains: {asked.stderr.strip()}")
    told: dict[str, Any] = json.loads(asked.stdout)
    return told


def _version(repository: Path) -> str:
    source = (repository / "agent" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise Refused("agent/__init__.py has no __version__")
    return found[1]


def _sums(files: dict[str, bytes]) -> str:
    return "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())
    )


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # no shell, no input
    if asked.returncode != 0:
        raise Refused(f"git {arguments[0]}: {asked.stderr.strip()}")
    return asked.stdout


if __name__ == "__main__":
    sys.exit(main())
