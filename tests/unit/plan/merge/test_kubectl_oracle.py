"""kubectl is the judge: it applies our patches, offline, with the code API servers have.

Each call takes a tenth of a second, so few cases run by default; LIGHTKEEPER_ORACLE_CASES=2000 runs
more.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import STRATEGIC_MERGE_PATCH, lookup, preview, three_way
from tests.controlplane.kubectl import BINARY
from tests.unit.plan.merge.cases import STRATEGIC_CASES, Case
from tests.unit.plan.merge.objects import DEPLOYMENT, deployments

CASES = int(os.environ.get("LIGHTKEEPER_ORACLE_CASES", "60"))


@pytest.fixture(scope="module")
def kubectl() -> str:
    return str(BINARY)


def _patched(
    kubectl: str, folder: Path, live: JSONObject, patch: JSONObject, *, patch_type: str
) -> JSONObject:
    """Return what ``kubectl patch --local`` makes of an object."""
    file = folder / "live.json"
    file.write_text(json.dumps(live), encoding="utf-8")
    command = [kubectl, "patch", "--local", f"--type={patch_type}", "-o=json", f"--filename={file}"]
    done = subprocess.run(
        [*command, "--patch", json.dumps(patch)],
        check=False,
        capture_output=True,
        timeout=30,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr.decode()
    result: JSONObject = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("case", STRATEGIC_CASES, ids=str)
def test_kubectl_makes_of_a_golden_patch_what_it_should(
    kubectl: str, tmp_path: Path, case: Case
) -> None:
    schema = lookup(case.gvk)
    assert schema is not None
    patched = _patched(kubectl, tmp_path, case.live, case.patch, patch_type="strategic")
    assert patched == case.result


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=CASES <= 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(objects=st.tuples(*[deployments(ambiguous=True)] * 3), adopted=st.booleans())
@pytest.mark.timeout(0)
def test_kubectl_applies_our_patches_as_we_foresee(
    kubectl: str, tmp_path: Path, objects: tuple[JSONObject, ...], adopted: bool
) -> None:
    last, desired, live = objects
    gvk: GroupVersionKind = DEPLOYMENT
    patch = three_way(gvk=gvk, last_applied=None if adopted else last, desired=desired, live=live)
    assert patch.content_type == STRATEGIC_MERGE_PATCH
    if patch.body:
        patched = _patched(kubectl, tmp_path, live, patch.body, patch_type="strategic")
        assert patched == preview(patch, gvk=gvk, live=live)
