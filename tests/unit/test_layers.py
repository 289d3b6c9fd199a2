"""The shape of the code: imports go one way, packages say their duty, nothing grows too long."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "agent"
MODULES = sorted(AGENT.rglob("*.py"))
PACKAGES = sorted(path for path in AGENT.glob("*/__init__.py"))

LONGEST_MODULE = 400  # lines
LONGEST_FUNCTION = 60


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_one_way() -> None:
    checker = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run(
        [checker, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", PACKAGES, ids=place)
def test_a_package_says_its_duty_its_imports_and_its_promises(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    for heading in ("Duty:", "May import:", "Promises:"):
        assert f"\n{heading} " in docstring


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_module_is_one_idea_with_a_docstring(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < LONGEST_MODULE
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    too_long = [
        f"{place(path)}:{node.lineno}: {node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 >= LONGEST_FUNCTION
    ]
    assert not too_long
