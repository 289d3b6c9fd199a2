"""make release: the pieces belong together; what could not be made again is not released."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import __version__
from tests.unit.release.build import ROOT, stand_in

TOOLS = ROOT / "packaging" / "release"
BASE = f"lightkeeper-{__version__}"
COMMITTED = 1767225600
ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_DATE": f"{COMMITTED} +0000",
    "GIT_COMMITTER_DATE": f"{COMMITTED} +0000",
}


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", "-C", repository, *identity, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of what a release is made from, with a changelog that knows this version."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("manifests", "monitoring", "systemd"):
        shutil.copytree(ROOT / "packaging" / name, folder / "packaging" / name)
    shutil.copy(ROOT / "config.example.toml", folder)
    (folder / "agent").mkdir()
    shutil.copy(ROOT / "agent" / "__init__.py", folder / "agent")
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{__version__}] - 2026-01-01\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=all")
    return folder


@pytest.fixture(scope="module")
def program(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    commit = git(repository, "rev-parse", "--short=12", "HEAD")
    return stand_in(tmp_path_factory.mktemp("build"), commit=commit)


@pytest.fixture(scope="module")
def released(repository: Path, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("dist") / "release"
    done = release(repository, program, output)
    assert (done.returncode, done.stderr) == (0, "")
    return output


def release(
    repository: Path, program: Path, output: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    places = [f"--repository={repository}", f"--binary={program}", f"--output={output}"]
    return subprocess.run(
        [sys.executable, TOOLS / "release.py", *places, *arguments],
        env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def binary_in(released: Path) -> Path:
    (found,) = [path for path in released.iterdir() if os.access(path, os.X_OK)]
    return found


def bill_in(released: Path) -> dict[str, object]:
    path = released / f"{binary_in(released).name}.cdx.json"
    bill: dict[str, object] = json.loads(path.read_text())
    return bill


def test_a_release_is_complete_and_its_sums_are_right(released: Path) -> None:
    binary = binary_in(released).name
    assert binary in (f"{BASE}-linux-amd64", f"{BASE}-linux-arm64")
    others = {path.name for path in released.iterdir()} - {"SHA256SUMS"}
    assert others == {
        binary,
        f"{binary}.cdx.json",
        f"{binary}-third-party-licenses.txt",
        f"{BASE}-manifests.tar.gz",
    }
    sums = (released / "SHA256SUMS").read_text().splitlines()
    assert {line.split()[1] for line in sums} == others
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, check=True)


def test_the_bill_of_materials_is_of_this_very_binary(
    released: Path, repository: Path, program: Path
) -> None:
    binary = binary_in(released)
    assert binary.read_bytes() == program.read_bytes()
    told = json.loads(subprocess.check_output([binary, "version", "--licenses", "-o", "json"]))
    bill = json.loads(json.dumps(bill_in(released)))
    subject = bill["metadata"]["component"]
    assert subject["version"] == told["version"] == __version__
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()
    assert subject["hashes"] == [{"alg": "SHA-256", "content": digest}]
    properties = {entry["name"]: entry["value"] for entry in subject["properties"]}
    assert properties["lightkeeper:file"] == binary.name
    assert git(repository, "rev-parse", "HEAD").startswith(properties["lightkeeper:commit"])
    listed = sorted((entry["name"], entry["purl"]) for entry in bill["components"])
    assert listed == sorted((entry["name"], entry["purl"]) for entry in told["components"])
    licences = (released / f"{binary.name}-third-party-licenses.txt").read_text()
    assert licences == told["licenses"]


def test_the_bill_of_materials_says_what_carries_what(released: Path) -> None:
    bill = json.loads(json.dumps(bill_in(released)))
    carried = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    (pygit2,) = [ref for ref in carried["lightkeeper"] if ref.startswith("pkg:pypi/pygit2@")]
    assert any("libgit2" in ref for ref in carried[pygit2])
    assert not any("libgit2" in ref for ref in carried["lightkeeper"])


def test_a_bill_that_breaks_the_schema_is_refused() -> None:
    script = """if True:
        import sbom
        sbom.check('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
        try:
            sbom.check('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{}]}')
        except sbom.InvalidSbom as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=TOOLS,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "is a required property" in done.stdout


def test_the_manifests_are_those_of_the_commit_and_of_nobody(released: Path) -> None:
    with tarfile.open(released / f"{BASE}-manifests.tar.gz") as archive:
        entries = archive.getmembers()
        (deployment,) = [e for e in entries if e.name == f"{BASE}/manifests/deployment.yaml"]
        packed = archive.extractfile(deployment)
        assert isinstance(packed, io.BufferedReader)
        expected = (ROOT / "packaging" / "manifests" / "deployment.yaml").read_bytes()
        assert packed.read() == expected
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    assert {f"{BASE}/monitoring/prometheus-rule.yaml", f"{BASE}/config.example.toml"} < {*names}
    assert not any(name.endswith(".py") for name in names)
    assert {(e.uid, e.gid, e.uname, e.mtime, e.mode) for e in entries} == {
        (0, 0, "", COMMITTED, 0o644)
    }


def test_the_same_commit_and_binary_give_the_same_bytes(
    released: Path, repository: Path, program: Path, tmp_path: Path
) -> None:
    assert release(repository, program, tmp_path / "again").returncode == 0
    for path in released.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def change_a_file(repository: Path) -> None:
    (repository / "config.example.toml").write_text("")


def add_a_file(repository: Path) -> None:
    (repository / "agent" / "new.py").write_text("")


def forget_the_version(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    git(repository, "commit", "--quiet", "--all", "--message=forget")


def move_on(repository: Path) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message=next")


def raise_the_version(repository: Path) -> None:
    (repository / "agent" / "__init__.py").write_text('__version__ = "99.0.0"\n')
    (repository / "CHANGELOG.md").write_text("## [99.0.0]\n")
    git(repository, "commit", "--quiet", "--all", "--message=next")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (change_a_file, "the checkout has changes; commit or remove them:\n M config.example.toml"),
        (add_a_file, "the checkout has changes; commit or remove them:\n?? agent/new.py"),
        (forget_the_version, f"CHANGELOG.md has no section [{__version__}]"),
        (move_on, "make binary"),
        (raise_the_version, f"the binary is version {__version__}, not 99.0.0: make binary"),
    ],
)
def test_what_could_not_be_made_again_is_not_released(
    repository: Path,
    program: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    complaint: str,
) -> None:
    spoilt = Path(shutil.copytree(repository, tmp_path / "repository"))
    spoil(spoilt)
    done = release(spoilt, program, tmp_path / "release")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no release: ")
    assert complaint in done.stderr
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize(
    ("suffix", "modules", "complaint"),
    [
        ("-dirty", ("aiohttp",), "make binary"),
        ("", ("aiohttp", "pytest", "yaml"), "components.toml does not account for: pytest\n"),
    ],
    ids=["changed when it was built", "a stranger inside"],
)
def test_a_binary_that_is_not_what_it_says_is_not_released(
    repository: Path, tmp_path: Path, suffix: str, modules: tuple[str, ...], complaint: str
) -> None:
    commit = git(repository, "rev-parse", "--short=12", "HEAD") + suffix
    program = stand_in(tmp_path, commit=commit, modules=modules)
    done = release(repository, program, tmp_path / "release")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_checkout_can_be_checked_before_the_long_build(repository: Path, tmp_path: Path) -> None:
    done = release(repository, tmp_path / "no-binary-yet", tmp_path / "release", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
