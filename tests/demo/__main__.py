"""``python -m tests.demo``: see the agent work, on the cluster of KUBECONFIG or one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from rich.console import Console

from tests.controlplane.kubectl import KubectlError
from tests.controlplane.process import ServerError
from tests.demo.failure import DemoError
from tests.demo.report import Report
from tests.demo.stage import Stage, set_stage
from tests.demo.steps import STEPS, Timed, final_status

_FAILURES = (DemoError, KubectlError, ServerError, TimeoutError, subprocess.TimeoutExpired)
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130
_SETTING = "Setting the stage"


def main() -> int:
    """Play the demo; 0 when all was shown, 1 when something did not happen, 130 on Ctrl-C."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.default_int_handler)
    report = Report(Console(highlight=False))
    try:
        return _play(report, os.environ.get("KUBECONFIG", ""))
    except _FAILURES as error:  # while it was taken down
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything is taken down", file=sys.stderr)
        return _INTERRUPTED


def _play(report: Report, kubeconfig: str) -> int:
    with ExitStack() as cleanup:
        try:
            return _set_and_show(report, kubeconfig, cleanup)
        finally:
            # What follows must not be cut short. Children inherit it.
            for number in _INTERRUPTS:
                signal.signal(number, signal.SIG_IGN)


def _set_and_show(report: Report, kubeconfig: str, cleanup: ExitStack) -> int:
    begin = time.monotonic()
    try:
        with report.waiting(_SETTING):
            stage = set_stage(kubeconfig, cleanup)
            description = stage.description
    except _FAILURES as error:
        report.failure(_SETTING, str(error), log=())
        return 1
    report.title(f"Lightkeeper on {description}")
    report.step("The stage is set", [Timed("API server, git repository", time.monotonic() - begin)])
    return _show(report, stage)


def _show(report: Report, stage: Stage) -> int:
    for step in STEPS:
        try:
            with report.waiting(step.heading):
                shown = step.play(stage)
        except _FAILURES as error:
            report.failure(step.heading, str(error), stage.agent.last_words())
            return 1
        report.step(step.heading, shown)
    report.status(final_status(stage))
    return 0


if __name__ == "__main__":
    sys.exit(main())
