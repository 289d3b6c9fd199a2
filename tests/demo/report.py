"""How it is shown: calm lines with times at their left, coloured on a terminal only."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.reconcile.reports.status import TrackStatus
from tests.demo.steps import Timed

_WIDTH = 9
"""Of the column of times."""

_LEGEND = 'Repairs are timed from the moment kubectl returns; "at once" is before that.'


class Report:
    """Writes to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """What this is, and how to read it."""
        self._console.print(Text(text, style="bold"))
        self._console.print(Text(_LEGEND, style="dim"))

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Something is going on; shown on a terminal while it is."""
        return self._console.status(Text(what, style="dim"))

    def step(self, heading: str, shown: Iterable[Timed]) -> None:
        """A step that has been shown."""
        self._console.print()
        self._console.print(Text(heading, style="bold cyan"))
        for line in shown:
            self._line(line)

    def status(self, status: TrackStatus) -> None:
        """How the track stands."""
        table = Table(header_style="bold")
        for heading in ("track", "revision", "objects", "in sync", "ready"):
            table.add_column(heading)
        ready = Text("True", style="green") if status.ready else Text("False", style="red")
        counts = (str(status.discovered), str(status.in_sync))
        table.add_row(status.track, status.revision, *counts, ready)
        self._console.print()
        self._console.print(table)

    def _line(self, line: Timed) -> None:
        text = textwrap.fill(
            line.what,
            width=self._console.width,
            initial_indent=f"{_duration(line.seconds):>{_WIDTH}}  ",
            subsequent_indent=" " * (_WIDTH + 2),
            break_on_hyphens=False,
        )
        styled = Text(text, style="dim" if line.seconds is None else "")
        styled.stylize("green", 0, _WIDTH)
        self._console.print(styled, soft_wrap=True)

    def failure(self, heading: str, reason: str, log: Iterable[str]) -> None:
        """A step that did not happen, why, and what the agent said last."""
        self._console.print()
        self._console.print(Text(f"{heading}: this did not happen", style="bold red"))
        self._console.print(Text(reason))
        if said := list(log):
            self._console.print(Text("\nThe agent's last words:", style="bold"))
            self._console.print(Text("\n".join(said), style="dim"), soft_wrap=True)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0.001:
        return "at once"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
