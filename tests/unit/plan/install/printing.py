"""A configuration as TOML, and what is printed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from agent.cli.rbac import Survey, account_of
from agent.config.load import load
from agent.plan.install import shapes, unit
from agent.plan.install.settle import FOLDER, Mode, Settled, settled
from agent.plan.rights import Need

PLAIN = '[[track]]\nname = "shop"\nrepository = "https://git.example.org/shop"\n'
SETTINGS: dict[Mode, str] = {
    Mode.DEPLOYMENT: "",
    Mode.DAEMONSET: "",
    Mode.SIDECAR: '[agent]\nnamespace = "shop"\n',
    Mode.SYSTEMD: "",
}
"""What a shape cannot do without."""

IN_A_CLUSTER = (Mode.DEPLOYMENT, Mode.DAEMONSET, Mode.SIDECAR)
NEEDS = [Need("apps", "deployments", deletes=True)]


def settle(folder: Path, toml: str, mode: Mode, **flags: str) -> Settled:
    """Return how a configuration runs in a shape, as the command finds out."""
    path = folder / "lightkeeper.toml"
    path.write_bytes(toml.encode())
    given = {key.replace("_", "-"): value for key, value in flags.items()}
    config = load(path, environment={}, flags=given, folder=FOLDER)
    return settled(config, mode, tuple(f"--{key}={value}" for key, value in given.items()))


def printed(folder: Path, toml: str, mode: Mode, **flags: str) -> str:
    """Return what the command prints."""
    there = settle(folder, toml, mode, **flags)
    if mode is Mode.SYSTEMD:
        return unit.unit(there)
    roles = Survey.of(account_of(there.config, there.namespace), NEEDS).roles
    return shapes.manifests(there, toml=toml, image="keeper:1", roles=roles, remarks="# Rights.")


def objects(folder: Path, toml: str, mode: Mode, **flags: str) -> list[dict[str, Any]]:
    """Return the objects in it."""
    return list(yaml.safe_load_all(printed(folder, toml, mode, **flags)))


def of_kind(found: list[dict[str, Any]], *kinds: str) -> dict[str, Any]:
    """Return the one object of these kinds."""
    [one] = [obj for obj in found if obj["kind"] in kinds]
    return one


def pod(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the specification of the Pods."""
    spec: dict[str, Any] = of_kind(found, "Deployment", "DaemonSet")["spec"]["template"]["spec"]
    return spec


def container(found: list[dict[str, Any]], name: str = "lightkeeper") -> dict[str, Any]:
    """Return a container of the Pods."""
    spec = pod(found)
    everyone = [*spec.get("initContainers", ()), *spec["containers"]]
    [one] = [each for each in everyone if each["name"] == name]
    result: dict[str, Any] = one
    return result
