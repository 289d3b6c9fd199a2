"""What the build says of itself: nothing in the binary without a licence that somebody read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from agent import __version__
from tests.unit.release.build import COMMIT, TOOLS, notices, stand_in

# GPL and LGPL software in the binary: why it may be there is in components.toml.
COPYLEFT = {
    "buffered-reader": "LGPL-2.0-or-later",
    "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgit2": "GPL-2.0-only WITH GCC-exception-2.0 AND LGPL-2.1-or-later",
    "pygit2": "GPL-2.0-only WITH GCC-exception-2.0",
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
    "self_cell": "Apache-2.0 OR GPL-2.0-only",
    "sequoia-openpgp": "LGPL-2.0-or-later",
}
# In the binary's lock because they make it.
BUILDERS = {"altgraph", "packaging", "setuptools"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in(tmp_path_factory.mktemp("build"))


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A copy of the build's tools, to spoil."""
    return Path(shutil.copytree(TOOLS, tmp_path / "tools"))


def ask(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, "version", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def components(program: Path) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(ask(program, "--licenses", "-o", "json"))[
        "components"
    ]
    return listed


def test_a_binary_tells_version_commit_and_python(program: Path) -> None:
    version, commit, python = ask(program).splitlines()
    assert version == f"lightkeeper {__version__}"
    assert commit == f"commit {COMMIT} of 2026-01-01T00:00:00Z"
    assert python.startswith("python 3.")


def test_a_binary_tells_them_as_json(program: Path) -> None:
    told = json.loads(ask(program, "-o", "json"))
    assert (told["version"], told["commit"]) == (__version__, COMMIT)
    assert "components" not in told


def test_a_binary_prints_its_licences(program: Path) -> None:
    notice = (program.parent / "agent" / "THIRD-PARTY-LICENSES.txt").read_text()
    assert ask(program, "--licenses") == notice
    assert json.loads(ask(program, "--licenses", "-o", "json"))["licenses"] == notice


def test_every_component_has_a_licence_and_the_text_of_it(program: Path) -> None:
    notice = ask(program, "--licenses")
    texts = dict(re.findall(r"^={100}\n\[(\d+)\]\n\n(.+)", notice, re.MULTILINE))
    for component in components(program):
        label = " ".join(component[key] for key in ("name", "version") if key in component)
        within = f" (in {component['within']})" if "within" in component else ""
        entry = re.escape(f"{label}{within}\n    {component['license']}; ")
        found = re.search(rf"^{entry}(\[\d+\](, \[\d+\])*)$", notice, re.MULTILINE)
        assert found, component
        assert set(re.findall(r"\d+", found[1])) <= texts.keys()


def test_what_is_under_the_gpl_is_there_by_an_exception_only(program: Path) -> None:
    licences = {c["name"]: c["license"] for c in components(program) if "GPL" in c["license"]}
    assert licences == COPYLEFT


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("python", None),
        ("zlib", None),
        ("openssl", "python"),
        ("openssl", "pygit2"),
        ("openssl", "cryptography"),
        ("libssh2", "pygit2"),
        ("c-ares", "pycares"),
        ("libyaml", "pyyaml"),
        ("sequoia-openpgp", "pysequoia"),
    ],
)
def test_what_others_carry_is_listed_with_its_version(
    program: Path, name: str, within: str | None
) -> None:
    found = [c for c in components(program) if (c["name"], c.get("within")) == (name, within)]
    (library,) = [c for c in found if name != "openssl" or "cargo" not in c["purl"]]
    assert re.match(r"[0-9]", library["version"])
    assert "@" in library["purl"]


def test_all_that_is_locked_for_the_binary_is_answered_for(program: Path) -> None:
    lock = (TOOLS / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    absent = tomllib.loads((TOOLS / "components.toml").read_text())["absent"]
    listed = {c["name"] for c in components(program) if c["purl"].startswith("pkg:pypi/")}
    assert locked.keys() == listed | absent.keys() | BUILDERS


def test_the_same_build_says_the_same(tmp_path: Path) -> None:
    said = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        notices(tmp_path / name).check_returncode()
        said.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('aiohttp = "Apache-2.0 AND MIT"\n', "", "aiohttp 3.*: not in components.toml"),
        ('semver = "BSD-3-Clause"', 'semver = "MIT"', "semver 3.*'BSD-3-Clause', reviewed.*'MIT'"),
        (
            '"BSL-1.0" = ["BSL-1.0"]\n',
            "",
            "crate xxhash-rust .* of pysequoia: 'BSL-1.0' is not reviewed",
        ),
        ('"pygit2.libs/libssl-*"', "", "pygit2: brings the library libssl-.*not reviewed"),
        ("pygit2.libs/libpcre-", "pygit2.libs/libpcre2-", "pcre: pygit2 has no .* any more"),
        ("libgit2 (", "libgit3 (", "libgit2: no version to be found in libgit2-"),
        ("licences/libssh2.txt", "licences/gone.txt", "the licence's text .*gone.txt is missing"),
    ],
    ids=["unknown", "changed", "crate", "stranger", "library gone", "no version", "no text"],
)
def test_what_nobody_reviewed_stops_the_build(
    tools: Path, tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    table = (tools / "components.toml").read_text()
    assert before in table
    (tools / "components.toml").write_text(table.replace(before, after))
    done = notices(tmp_path, tools=tools)
    assert done.returncode == 1
    assert re.search(complaint, done.stderr), done.stderr
    assert not (tmp_path / "build.json").exists()
