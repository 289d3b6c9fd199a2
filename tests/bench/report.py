"""The bench's page: what is to be reached, then a table a fleet, in Markdown."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from pathlib import Path
from statistics import median

from tests.bench.results import Results, writes
from tests.bench.running import Rest
from tests.bench.targets import MB, targets
from tests.controlplane.kubectl import BINARY

_ABOUT = Path(__file__).with_name("about.md")


def render(results: list[Results], *, program: str, assets: Path) -> str:
    """Return the whole page; ``program`` says which agent was measured.

    ``assets`` is where etcd and kube-apiserver are.
    """
    about, _, after = _ABOUT.read_text().partition("<!-- tables -->\n")
    lines = [about.rstrip(), "", _machine(program, assets), "", *_targets(results), ""]
    for result in results:
        files = len(result.fleet.files)
        lines += [f"## {result.size:,} objects in {files:,} files", ""]
        lines += [*_table(result), "", *_running(result), ""]
    return "\n".join(lines) + "\n" + after.lstrip()


def _targets(results: list[Results]) -> list[str]:
    rows = [
        f"| {line.what} | {line.target} | {line.measured} | {'yes' if line.met else '**no**'} |"
        for line in targets(results)
    ]
    return ["| what | target | measured | met |", "| --- | --- | --- | --- |", *rows]


def _table(result: Results) -> list[str]:
    lines = [
        "| case | who | runs | seconds | x floor | CPU s | peak MB | workers | writes | reads |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    floor = result.wall("cold", "floor")
    for (case, name), costs in sorted(result.costs.items()):
        wall, cpu = median(c.wall for c in costs), median(c.cpu for c in costs)
        peak, workers = median(c.peak for c in costs), median(c.workers for c in costs)
        counts = result.counts[case, name]
        changing = writes(counts)
        lines.append(
            f"| {case} | {name} | {len(costs)} | {wall:.2f} | {wall / floor:.2f} | {cpu:.2f} "
            f"| {peak / MB:.0f} | {f'{workers / MB:.0f}' if workers else '-'} "
            f"| {changing} | {sum(counts.values()) - changing} |"
        )
    return lines


def _running(result: Results) -> list[str]:
    lines = []
    if restarts := result.restarts:
        wall, cpu = median(r.wall for r in restarts), median(r.cpu for r in restarts)
        lines.append(
            f"- **restart** on the converged cluster ({len(restarts)} runs): ready after "
            f"{wall:.2f} s, {cpu:.2f} s of CPU, requests {_told(restarts[-1].requests)}"
        )
    if commit := result.commit:
        lines.append(
            f"- **a commit of one file** ({commit.number} of them, polled once a second): the "
            f"changed object's event {1000 * commit.from_fetch:.0f} ms after the fetch, "
            f"{commit.from_push:.2f} s after the push; requests of all {_told(commit.requests)}"
        )
    if drift := result.drift:
        storms = ", ".join(f"{storm.seconds:.2f}" for storm in drift.storms)
        floors = ", ".join(f"{storm.floor:.2f}" for storm in drift.storms)
        lines.append(
            f"- **drift** ({drift.edits} edits): repaired {1000 * drift.p50:.0f} ms (median), "
            f"{1000 * drift.p99:.0f} ms (99th of 100) after its watch event; {drift.size} objects "
            f"edited at once: all repaired after {storms} s; as many bare patches just before "
            f"take {floors} s"
        )
    for name, rest in result.rests.items():
        lines.append(f"- **at rest** ({name}): {_rested(rest)}")
    return lines


def _rested(rest: Rest) -> str:
    memory = rest.memory
    workers = f" and {memory.workers / MB:.0f} MB of git workers" if memory.workers else ""
    polled = "track polled" if rest.tracks == 1 else "tracks, each polled"
    return (
        f"{rest.tracks} {polled} once a minute, {rest.seconds:.0f} s: {rest.share:.2f} % "
        f"of a core, {memory.agent / MB:.0f} MB{workers} (PSS {memory.share / MB:.0f} MB), "
        f"requests {_told(rest.requests)}"
    )


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {verb}" for verb, count in sorted(counts.items())) or "none"


def _machine(program: str, assets: Path) -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = models[0] if models else "unknown"
    kubectl = _first_line(str(BINARY), "version", "--client").removeprefix("Client Version: ")
    etcd = _first_line(str(assets / "etcd"), "--version").removeprefix("etcd Version: ")
    server = _first_line(str(assets / "kube-apiserver"), "--version").removeprefix("Kubernetes ")
    return (
        f"Measured with `make bench` on {os.cpu_count()} cores ({model}), shared with etcd, "
        f"kube-apiserver and the git server. Agent: {program}; Python {platform.python_version()}; "
        f"kubectl {kubectl}, kube-apiserver {server}, etcd {etcd}. Wall times are medians of "
        "alternated runs, each on a control plane of its own; 1 MB is a million bytes."
    )


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]
