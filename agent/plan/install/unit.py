"""The systemd unit: the agent as a service of a machine."""

from __future__ import annotations

from collections.abc import Iterator

from agent.plan.install import outside, text
from agent.plan.install.settle import FILE, FOLDER, Settled

PROGRAM = "/usr/local/bin/lightkeeper"
"""Where the binary is."""

GROUP = "lightkeeper-files"
"""The group that may read what the configuration names; the service's user is made anew."""


def unit(settled: Settled) -> str:
    """Return ``lightkeeper.service``."""
    named = outside.named(settled.config)
    variables = f"EnvironmentFile={FOLDER}/environment" if named.variables else ""
    return text.filled(
        "lightkeeper.service",
        {
            "name": settled.name,
            "group": GROUP,
            "preface": text.comment("\n".join(_preface(settled))),
            "command": _command(settled),
            "environment": variables,
        },
    )


def _preface(settled: Settled) -> Iterator[str]:
    """Say how to install it: what has to be where, and who may read it."""
    named = outside.named(settled.config)
    kubeconfig = settled.config.agent.kubeconfig
    readable = " \\\n    ".join(map(str, (FILE, kubeconfig, *named.files, *named.folders)))
    yield "Lightkeeper as a service, printed by lightkeeper install --export --mode=systemd."
    yield "To install it, as root:"
    yield ""
    yield f"  install -m 755 lightkeeper {PROGRAM}"
    yield f"  groupadd --system {GROUP}"
    yield f"  install -D -m 640 -g {GROUP} lightkeeper.toml {FILE}"
    yield f"  chgrp -R {GROUP} {readable}"
    yield f"  chmod -R g+rX {readable}"
    if named.variables:
        names = ", ".join(named.variables)
        yield f"  and {FOLDER}/environment, for root only, with lines of NAME=value: {names}"
    yield "  cp lightkeeper.service /etc/systemd/system/"
    yield "  systemctl enable --now lightkeeper"
    yield ""
    yield f"{kubeconfig} is the way to the cluster, of somebody with the rights that"
    yield "lightkeeper rbac prints."
    for path in named.repositories:
        yield f"{path} is tracked: {GROUP} must be able to read it too."


def _command(settled: Settled) -> str:
    reasons = [f"# {flag.text.partition('=')[0]}: {flag.why}" for flag in settled.flags if flag.why]
    words = [PROGRAM, "run", f"--config={FILE}", *(_quoted(flag.text) for flag in settled.flags)]
    return "\n".join((*reasons, f"ExecStart={' '.join(words)}"))


def _quoted(argument: str) -> str:
    """Quote an argument for systemd, to which ``%`` and ``$`` mean something."""
    literal = argument.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    plain = literal == argument and not set(argument) & set(" \t\"';")
    return argument if plain else '"' + literal.replace('"', '\\"') + '"'
