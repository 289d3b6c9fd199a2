"""Write what the binary says of itself: where it comes from, and whose software it contains.

    python packaging/binary/notices.py --source . --commit 0123456789ab --output agent/

Run by the interpreter that goes into the binary, with the packages that do. Writes into the folder
of ``--output``, from which both files go into the binary's folder ``agent``:

* ``build.json``: commit, time (SOURCE_DATE_EPOCH), and every component with its version, licence
  and package URL (``agent.build`` reads it);
* ``THIRD-PARTY-LICENSES.txt``: the same for people, with the full text of every licence.

What may be in there, and under which licence, is in components.toml. Whatever is not, has changed,
or has no text, is an error: all of them are told at once, with exit code 1. Needs nothing but the
standard library and ``packaging``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import ssl
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
TABLE: dict[str, Any] = tomllib.loads((HERE / "components.toml").read_text(encoding="utf-8"))
EXTRA = ["pyinstaller", "pyinstaller-hooks-contrib"]  # its loader, and what that runs first
LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)
VERSIONS = Path("/VERSIONS")  # of Debian's sources that the interpreter was compiled from


@dataclass(frozen=True, slots=True)
class Component:
    """One piece of somebody's software: name, version ("" if it tells none), SPDX expression.

    ``within`` names the distribution that carries it; ``texts`` are what has to be passed on.
    """

    name: str
    version: str
    license: str
    purl: str
    texts: tuple[str, ...]
    within: str | None = None
    by: str | None = None

    def key(self) -> tuple[str, str, str]:
        """Return what components are sorted by."""
        return (self.name.lower(), self.version, self.within or "")


class Unreviewed(Exception):
    """Something is not as components.toml has it, or carries no text."""


def main() -> int:
    """Run the script; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="the folder of pyproject.toml")
    parser.add_argument("--commit", required=True, help="short, with -dirty if it is")
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    project = tomllib.loads((options.source / "pyproject.toml").read_text(encoding="utf-8"))
    problems: list[str] = []
    found = sorted(components(project["project"]["dependencies"], problems), key=Component.key)
    if problems:
        sys.stderr.writelines(f"{problem}\n" for problem in problems)
        return 1
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    build = {
        "commit": options.commit,
        "date": f"{made:%Y-%m-%dT%H:%M:%SZ}",
        "components": [_entry(component) for component in found],
    }
    text = json.dumps(build, indent=1, ensure_ascii=False) + "\n"
    (options.output / "build.json").write_text(text, encoding="utf-8")
    (options.output / "THIRD-PARTY-LICENSES.txt").write_text(rendered(found), encoding="utf-8")
    return 0


def components(dependencies: Iterable[str], problems: list[str]) -> Iterator[Component]:
    """Yield all that is in the binary; add to ``problems`` what cannot be answered for."""
    distributions = closure(dependencies)
    yield from _interpreter()
    jobs = [(_distribution, distribution) for distribution in distributions]
    jobs += [(_crates, distribution) for distribution in distributions]
    for job, distribution in jobs:
        try:
            yield from job(distribution)
        except Unreviewed as problem:
            problems.append(str(problem))
    for make, rows in ((_library, TABLE["library"]), (_system, TABLE["system"])):
        for row in rows:
            try:
                yield make(row)
            except Unreviewed as problem:
                problems.append(str(problem))
    problems.extend(_strangers(distributions))


# --- distributions ----------------------------------------------------------------------------


def closure(dependencies: Iterable[str]) -> list[metadata.Distribution]:
    """Return the distributions these requirements come to, and the loader's."""
    wanted = [Requirement(line) for line in dependencies]
    found: dict[str, metadata.Distribution] = {}
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name in TABLE["absent"]:
            continue
        found[name] = metadata.distribution(name)
        wanted += _required(found[name], requirement.extras)
    return [found[name] for name in sorted(found)] + [metadata.distribution(n) for n in EXTRA]


def _required(distribution: metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _distribution(distribution: metadata.Distribution) -> Iterator[Component]:
    name, version = canonicalize_name(distribution.name), distribution.version
    if (reviewed := TABLE["distributions"].get(name)) is None:
        raise Unreviewed(f"{name} {version}: not in components.toml; read its licence and add it")
    said = _said(distribution)
    if said != TABLE["words"].get(name, reviewed):
        raise Unreviewed(
            f"{name} {version}: its licence is said to be {said!r}, reviewed was {reviewed!r}; "
            "read it again and correct components.toml"
        )
    if not (texts := tuple(_texts_in(distribution))):
        raise Unreviewed(f"{name} {version}: carries no licence text")
    yield Component(name, version, reviewed, f"pkg:pypi/{name}@{version}", texts)


def _said(distribution: metadata.Distribution) -> str:
    fields = distribution.metadata.json
    return str(fields.get("license_expression") or fields.get("license") or "")


def _texts_in(distribution: metadata.Distribution) -> Iterator[str]:
    for path in sorted(distribution.files or (), key=str):
        inside = path.parts[0].endswith(".dist-info")
        if inside and ("licenses" in path.parts[1:-1] or LICENCE_FILE.search(str(path))):
            yield _clean(Path(str(path.locate())).read_text(encoding="utf-8", errors="replace"))


def _crates(distribution: metadata.Distribution) -> Iterator[Component]:
    """Yield the Rust crates of the wheel's own list (PEP 770), with those that only built it."""
    for path in sorted(distribution.files or (), key=str):
        if "sboms" not in path.parts or path.suffix != ".json":
            continue
        listed = json.loads(Path(str(path.locate())).read_text(encoding="utf-8"))
        for crate in listed.get("components", ()):
            if crate.get("purl", "").startswith("pkg:cargo/"):
                yield _crate(crate, canonicalize_name(distribution.name))


def _crate(crate: dict[str, Any], within: str) -> Component:
    name, version = crate["name"], crate["version"]
    licence = " AND ".join(
        entry.get("expression") or entry["license"].get("id", "") for entry in crate["licenses"]
    )
    row = TABLE["crates"].get(name)
    if row is not None and row["license"] == licence:
        names = row["texts"]
    elif row is None and licence in TABLE["texts"]:
        names = TABLE["texts"][licence]
    else:
        raise Unreviewed(f"crate {name} {version} of {within}: {licence!r} is not reviewed")
    purl = f"pkg:cargo/{name}@{version}"
    return Component(name, version, licence, purl, _texts(names), within, crate.get("author"))


# --- libraries --------------------------------------------------------------------------------


def _library(row: dict[str, Any]) -> Component:
    within = metadata.distribution(row["within"])
    files = [path for pattern in row["files"] for path in _matching(within, pattern)]
    if not files:
        raise Unreviewed(
            f"{row['name']}: {within.name} has no {' or '.join(row['files'])} any more"
        )
    version = ""
    if "version" in row:
        found = re.search(row["version"].encode(), files[0].read_bytes())
        if found is None:
            raise Unreviewed(f"{row['name']}: no version to be found in {files[0].name}")
        version = found[1].decode()
    purl = f"pkg:generic/{row['name']}" + (f"@{version}" if version else "")
    return Component(
        row["name"], version, row["license"], purl, _texts(row["texts"]), row["within"]
    )


def _matching(distribution: metadata.Distribution, pattern: str) -> list[Path]:
    return sorted(Path(str(distribution.locate_file(""))).glob(pattern))


def _strangers(distributions: Iterable[metadata.Distribution]) -> Iterator[str]:
    """Yield a problem for each library that a wheel brings along and no row speaks of."""
    known = {
        path
        for row in TABLE["library"]
        for pattern in row["files"]
        for path in _matching(metadata.distribution(row["within"]), pattern)
    }
    for distribution in distributions:
        for file in distribution.files or ():
            path = Path(str(file.locate()))
            if file.parts[0].endswith(".libs") and path not in known:
                yield f"{distribution.name}: brings the library {file.name}, which is not reviewed"


def _system(row: dict[str, Any]) -> Component:
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", row["package"]]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # no shell, no input
    if asked.returncode != 0:
        raise Unreviewed(f"{row['name']}: {asked.stderr.strip()}")
    package, version = asked.stdout.split("\n")[0].split()
    texts = _texts([f"root:usr/share/doc/{package}/copyright", *row["texts"]])
    purl = f"pkg:deb/debian/{package}@{version.replace('+', '%2B')}"
    return Component(row["name"], version, row["license"], purl, texts)


def _interpreter() -> Iterator[Component]:
    compiled = (
        dict(line.split() for line in VERSIONS.read_text().splitlines())
        if (VERSIONS.is_file())
        else {}
    )
    python = platform.python_version()
    stdlib = Path(sysconfig.get_path("stdlib"))
    own = _clean((stdlib / "LICENSE.txt").read_text(encoding="utf-8"))
    texts = (own, *_texts(["licences/cpython.txt"]))
    purl = _source("python3.11", compiled.get("python")) or f"pkg:generic/python@{python}"
    yield Component("python", python, "PSF-2.0", purl, texts)
    openssl = ssl.OPENSSL_VERSION.split()[1]
    purl = _source("openssl", compiled.get("openssl")) or f"pkg:generic/openssl@{openssl}"
    yield Component("openssl", openssl, "Apache-2.0", purl, _texts(["Apache-2.0"]), "python")


def _source(package: str, version: str | None) -> str | None:
    if version is None:
        return None
    return f"pkg:deb/debian/{package}@{version.replace('+', '%2B')}?arch=source"


# --- texts ------------------------------------------------------------------------------------


def _texts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_text(TABLE["files"].get(name, name)) for name in names)


def _text(place: str) -> str:
    """Return a text by its path below this folder, or below the file system's root."""
    root, path = (Path("/"), place[5:]) if place.startswith("root:") else (HERE, place)
    if not (found := sorted(root.glob(path))):
        raise Unreviewed(f"the licence's text {root / path} is missing")
    return _clean(found[0].read_text(encoding="utf-8"))


def _clean(text: str) -> str:
    lines = (line.rstrip() for line in text.replace("\f", "\n").splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def _entry(component: Component) -> dict[str, str]:
    values = {
        "name": component.name,
        "version": component.version,
        "license": component.license,
        "purl": component.purl,
        "within": component.within,
        "by": component.by,
    }
    return {key: value for key, value in values.items() if value}


def rendered(found: list[Component]) -> str:
    """Return the notice for people: who is in here, the remarks, and each text once."""
    numbers: dict[str, int] = {}
    rows = []
    for component in found:
        texts = [numbers.setdefault(text, len(numbers) + 1) for text in component.texts]
        whence = f" (in {component.within})" if component.within else ""
        rows.append(f"{component.name} {component.version}".rstrip() + whence)
        rows.append(f"    {component.license}; {', '.join(f'[{number}]' for number in texts)}")
        if component.by:
            rows.append(f"    Copyright {component.by}")
    parts = [
        "This binary contains the software listed here. The numbers name the texts below.\n"
        "Of Rust crates the list has what their carriers' own lists have, tools of the build too.",
        TABLE["notice"]["text"].strip("\n"),
        "\n".join(rows),
    ]
    rule = "=" * 100
    parts += [f"{rule}\n[{number}]\n\n{text}" for text, number in numbers.items()]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
