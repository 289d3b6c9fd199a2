"""What kubectl sees of an object, as it happens and with the time it happened."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType
from typing import NamedTuple, Self

from tests.controlplane.kubectl import BINARY, Kubectl
from tests.demo.failure import DemoError

DEADLINE = 10.0
"""Seconds in which the cluster has to look as promised."""

_LOOK_AROUND = 0.5


class Sight(NamedTuple):
    """A value, and when it was seen (``time.monotonic``, seconds)."""

    at: float
    value: str


class Watch:
    """``kubectl get --watch`` of one value of one object, which need not exist yet.

    ``path`` is a JSONPath such as ``{.spec.replicas}``. ``alive`` is asked while waiting, and
    raises when there is no point in waiting any more. Use it as a context manager.
    """

    def __init__(
        self, kubectl: Kubectl, kind: str, name: str, path: str, *, alive: Callable[[], None]
    ) -> None:
        self._what = f"{kind}/{name}"
        self._command: list[str] = [
            str(BINARY),
            f"--kubeconfig={kubectl.kubeconfig}",
            f"--cache-dir={kubectl.cache}",
            f"--namespace={kubectl.namespace}",
            "get",
            kind,
            f"--field-selector=metadata.name={name}",
            "--watch",
            f'--output=jsonpath={path}{{"\\n"}}',
        ]
        self._alive = alive
        self._sights: list[Sight] = []
        self._ended = ""
        self._news = Condition()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read, name=f"watch {self._what}", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._reader.join()
        self._process.communicate()

    def first(self) -> str:
        """The value at the beginning. From here on nothing is missed."""
        return self.wait("its first value", lambda sights: sights[0] if sights else None).value

    def wait(
        self,
        what: str,
        find: Callable[[list[Sight]], Sight | None],
        *,
        within: float = DEADLINE,
    ) -> Sight:
        """Return what ``find`` finds in all that was seen, asked again whenever there is more.

        Raises :class:`DemoError`, which names ``what``, after ``within`` seconds.
        """
        deadline = time.monotonic() + within
        with self._news:
            while (found := find(self._sights)) is None:
                self._alive()
                if self._ended:
                    raise DemoError(f"kubectl stopped watching {self._what}: {self._ended}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise DemoError(
                        f"{self._what}: not within {within:g} s: {what}; {self._last()}"
                    )
                self._news.wait(min(left, _LOOK_AROUND))
        return found

    def _last(self) -> str:
        return f"last seen: {self._sights[-1].value}" if self._sights else "nothing was seen"

    def _read(self) -> None:
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            return
        for line in stdout:
            self._add(Sight(time.monotonic(), line.rstrip("\n")))
        reason = stderr.read().strip() or "it ended"
        with self._news:
            self._ended = reason
            self._news.notify_all()

    def _add(self, sight: Sight) -> None:
        with self._news:
            self._sights.append(sight)
            self._news.notify_all()


def back_to(value: str) -> Callable[[list[Sight]], Sight | None]:
    """Find the moment when ``value`` was there again after something else was."""

    def find(sights: list[Sight]) -> Sight | None:
        other = False
        for sight in sights:
            if sight.value != value:
                other = True
            elif other:
                return sight
        return None

    return find


def other_than(value: str) -> Callable[[list[Sight]], Sight | None]:
    """Find the moment when something else than ``value`` was there."""
    return lambda sights: next((sight for sight in sights if sight.value != value), None)
