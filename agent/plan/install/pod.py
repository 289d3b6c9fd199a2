"""The parts of a Pod that depend on the configuration: arguments, variables, probes, volumes.

Each is lines of YAML for a template, "" for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.manifest.keys import JSONObject
from agent.plan.install import outside, text
from agent.plan.install.settle import FILE, FOLDER, Flag, Mode, Settled, reaches_everyone

TEMPORARY: Final = Path("/tmp")  # noqa: S108  # a volume of the Pod's own
TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where kubelet puts a service account's token, and libraries look for it."""

_OF_THE_IMAGE: Final = frozenset(
    map(Path, ("/", "/etc", "/etc/ssh", "/etc/ssl", "/etc/ssl/certs", "/usr/share/ca-certificates"))
)
_READABLE_BY_GROUP: Final = text.Octal(0o440)


@dataclass(frozen=True, slots=True)
class Content:
    """What the Pods get from outside: files and variables out of one Secret, folders each of one.

    ``keys`` says which key of the Secret a file is.
    """

    secret: str
    keys: dict[Path, str]
    variables: tuple[str, ...]
    folders: dict[Path, str]
    repositories: tuple[Path, ...]


def content(settled: Settled) -> Content:
    """Return what a configuration needs beside itself, and what that is called."""
    found = outside.named(settled.config)
    return Content(
        secret=f"{settled.name}-secrets",
        keys=outside.keys_of_a_secret(found.files, taken=found.variables),
        variables=found.variables,
        folders={
            folder: f"{settled.name}-{name}"
            for folder, name in outside.names_of_secrets(found.folders).items()
        },
        repositories=found.repositories,
    )


def arguments(command: Iterable[str], flags: Iterable[Flag]) -> str:
    """Return ``args``: a command, the configuration's file, and flags, each with its reason."""
    lines = ["args:", *(f"  - {text.scalar(part)}" for part in (*command, f"--config={FILE}"))]
    for flag in flags:
        lines += [f"  # {flag.why}"] if flag.why else []
        lines.append(f"  - {text.scalar(flag.text)}")
    return "\n".join(lines)


def environment(needed: Content) -> str:
    """Return ``env``: each variable that the configuration names, out of the Secret."""
    variables = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": needed.secret, "key": name}}}
        for name in needed.variables
    ]
    return text.block({"env": variables}) if variables else ""


def ports(settled: Settled) -> str:
    """Return ``ports``: those that somebody outside of the Pod can ask."""
    served = {"metrics": settled.metrics, "health": settled.health}
    found = [
        {"name": name, "containerPort": address.port}
        for name, address in served.items()
        if address and reaches_everyone(address)
    ]
    return text.block({"ports": found}) if found else ""


def probes(settled: Settled) -> str:
    """Return the probes: kubelet's requests, or a command where the port is not for others."""
    if reaches_everyone(settled.health):
        alive: JSONObject = {"httpGet": {"path": "/healthz", "port": "health"}}
        ready: JSONObject = {"httpGet": {"path": "/readyz", "port": "health"}}
        often = {"periodSeconds": 10, "timeoutSeconds": 5}
    else:
        flags = (flag.text for flag in settled.flags)
        ask = ["lightkeeper", "healthcheck", f"--config={FILE}", *flags]
        alive, ready = {"exec": {"command": ask}}, {"exec": {"command": [*ask, "--ready"]}}
        often = {"periodSeconds": 30, "timeoutSeconds": 10}  # each is a process
    return text.block({"livenessProbe": {**alive, **often}, "readinessProbe": {**ready, **often}})


def mounts(settled: Settled, needed: Content) -> str:
    """Return ``volumeMounts`` of a container of the agent."""
    state = settled.config.agent.state_dir
    found: list[JSONObject] = [{"name": "state", "mountPath": str(state)}]
    if state != TEMPORARY:
        found.append({"name": "tmp", "mountPath": str(TEMPORARY)})
    found += [
        {"name": name, "mountPath": str(folder), "readOnly": True}
        for folder, name in _projected(settled, needed)
    ]
    found += [
        {"name": "secrets", "mountPath": str(path), "subPath": key, "readOnly": True}
        for path, key in needed.keys.items()
        if _is_alone(path, state)
    ]
    found += [
        {"name": f"folder-{number}", "mountPath": str(folder), "readOnly": True}
        for number, folder in enumerate(needed.folders, 1)
    ]
    if settled.mode is Mode.SIDECAR:
        found.append({"name": "token", "mountPath": str(TOKEN), "readOnly": True})
    if settled.mode is Mode.DAEMONSET:
        found += [
            {"name": f"repository-{number}", "mountPath": str(folder), "readOnly": True}
            for number, folder in enumerate(_of_the_node(needed), 1)
        ]
    return text.block({"volumeMounts": found})


def volumes(settled: Settled, needed: Content) -> str:
    """Return the volumes beside that of the state, as items of a list."""
    state = settled.config.agent.state_dir
    made: list[JSONObject] = []
    if state != TEMPORARY:
        made.append({"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}})
    for folder, name in _projected(settled, needed):
        made.append({"name": name, "projected": {"sources": _sources(settled, needed, folder)}})
    if any(_is_alone(path, state) for path in needed.keys):
        secret = {"secretName": needed.secret, "defaultMode": _READABLE_BY_GROUP}
        made.append({"name": "secrets", "secret": secret})
    for number, secret_name in enumerate(needed.folders.values(), 1):
        secret = {"secretName": secret_name, "defaultMode": _READABLE_BY_GROUP}
        made.append({"name": f"folder-{number}", "secret": secret})
    if settled.mode is Mode.DAEMONSET:
        for number, folder in enumerate(_of_the_node(needed), 1):
            made.append({"name": f"repository-{number}", "hostPath": {"path": str(folder)}})
    return text.block(made)


def _projected(settled: Settled, needed: Content) -> Iterator[tuple[Path, str]]:
    """Return the folders that files are put into, each with its volume; the configuration's first.

    Whole folders, because a single file that is mounted does not follow a change of its Secret.
    """
    yield FOLDER, "config"
    state = settled.config.agent.state_dir
    parents = {path.parent for path in needed.keys if not _is_alone(path, state)}
    for number, parent in enumerate(sorted(parents - {FOLDER}), 1):
        yield parent, f"files-{number}"


def _sources(settled: Settled, needed: Content, folder: Path) -> list[JSONObject]:
    files = [path for path in needed.keys if path.parent == folder]
    config: JSONObject = {"configMap": {"name": f"{settled.name}-config"}}
    items: list[Any] = [
        {"key": needed.keys[path], "path": path.name, "mode": _READABLE_BY_GROUP} for path in files
    ]
    found: list[JSONObject] = [config] if folder == FOLDER else []
    return found + ([{"secret": {"name": needed.secret, "items": items}}] if files else [])


def _of_the_node(needed: Content) -> list[Path]:
    """Return the tracked folders of the node; of a bundle its folder, where a new one will lie."""
    return sorted({p.parent if p.suffix == ".bundle" else p for p in needed.repositories})


def _is_alone(path: Path, state: Path) -> bool:
    """Tell whether a file lies in a folder that holds more than what is mounted into it."""
    return path.parent in _OF_THE_IMAGE | {TEMPORARY, state, TOKEN}
