"""The shapes in a cluster as text for ``kubectl apply``.

What depends on the configuration is made here or in ``pod``; what does not is in the templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.manifest.keys import JSONObject
from agent.plan.install import pod, text
from agent.plan.install.pod import Content
from agent.plan.install.settle import Mode, Settled, reaches_everyone
from agent.plan.rights import named_secrets

_ENFORCE = "pod-security.kubernetes.io/enforce"
_OF_SERVING = ("--leader-election", "--health-bind-address", "--metrics-bind-address")
_FIRST_WAITS = "5m"
_TITLES = {Mode.DEPLOYMENT: "Deployment", Mode.DAEMONSET: "DaemonSet", Mode.SIDECAR: "sidecar"}


def manifests(
    settled: Settled, *, toml: str, image: str, roles: Sequence[JSONObject], remarks: str
) -> str:
    """Return all that a shape needs in a cluster, ready for ``kubectl apply -f -``.

    ``toml`` is the configuration as it is, ``roles`` the agent's rights and ``remarks`` what is to
    be said of them, as comments.
    """
    needed = pod.content(settled)
    documents = [
        *_surroundings(settled),
        *_rights(settled, roles, remarks),
        _filled(settled, "config.yaml", toml=text.literal("config.toml", toml)),
        *_service(settled),
        _workload(settled, needed, image=text.scalar(image)),
    ]
    return text.comment(_preface(settled, needed)) + "\n" + "---\n".join(documents)


def _preface(settled: Settled, needed: Content) -> str:
    """Say what this is, and what has to be there beside it."""
    where = f"in namespace {settled.namespace}"
    what = _TITLES[settled.mode]
    lines = [f"Lightkeeper as a {what} {where}, printed by lightkeeper install --export."]
    missing = list(_needs(settled, needed))
    if missing:
        lines += ["", "What else has to be there; the Pods wait for it:", *missing]
    if not settled.config.agent.state_namespace:
        lines += ["", "To ask it from elsewhere, say where it lives:"]
        lines.append(f"  lightkeeper status --state-namespace={settled.namespace}")
    if needed.repositories and settled.mode is not Mode.DAEMONSET:
        paths = ", ".join(map(str, needed.repositories))
        lines += [
            "",
            "The configuration tracks paths that are in no volume here, mount some:",
            paths,
        ]
    return "\n".join(lines)


def _needs(settled: Settled, needed: Content) -> Iterator[str]:
    """Say how to make what the configuration names, secrets above all."""
    create = f"kubectl --namespace {settled.namespace} create secret generic"
    if not settled.own_namespace:
        yield f"  the namespace {settled.namespace}"
    parts = [f"--from-file={key}={path}" for path, key in needed.keys.items()]
    parts += [f"--from-file={name}=FILE" for name in needed.variables]
    if parts:
        yield " \\\n    ".join((f"  {create} {needed.secret}", *parts))
    for folder, name in needed.folders.items():
        yield f"  {create} {name} --from-file={folder}"
    for namespace, name in sorted(named_secrets(settled.config.tracks)):
        yield f"  the Secret {name} in namespace {namespace}"


def _surroundings(settled: Settled) -> Iterator[str]:
    if settled.own_namespace:
        labels = text.block(_labels(settled))
        yield _filled(settled, "namespace.yaml", labels=f"{labels}\n{_policy(settled)}")
    yield _filled(settled, "account.yaml")


def _policy(settled: Settled) -> str:
    """Return the Pod Security label of a namespace that is the agent's alone."""
    if settled.mode is Mode.DAEMONSET:
        why = "# The folder of the node takes this; all else is as the restricted profile asks."
        return f"{why}\n{_ENFORCE}: privileged"
    return f"{_ENFORCE}: restricted"


def _rights(settled: Settled, roles: Sequence[JSONObject], remarks: str) -> Iterator[str]:
    said = f"{remarks}\n"
    for role in roles:
        yield f"{said}{text.block(role)}\n"
        said = ""
    if settled.config.agent.metrics_authorization:
        yield _filled(settled, "delegator.yaml")


def _service(settled: Settled) -> Iterator[str]:
    address = settled.metrics
    if address and reaches_everyone(address) and settled.mode is not Mode.SIDECAR:
        yield _filled(settled, "service.yaml", port=str(address.port))


def _workload(settled: Settled, needed: Content, *, image: str) -> str:
    common = {
        "env": pod.environment(needed),
        "mounts": pod.mounts(settled, needed),
    }
    agent = _filled(
        settled,
        "container.yaml",
        container="lightkeeper",
        image=image,
        args=pod.arguments(["run"], settled.flags),
        ports=pod.ports(settled),
        probes=pod.probes(settled),
        **common,
    )
    once = [flag for flag in settled.flags if not flag.text.startswith(_OF_SERVING)]
    first = _filled(
        settled,
        "container.yaml",
        container="lightkeeper-first",
        image=image,
        args=pod.arguments(["run", "--once", "--wait", f"--timeout={_FIRST_WAITS}"], once),
        ports="",
        probes="",
        **common,
    )
    return _filled(
        settled,
        f"{settled.mode}.yaml",
        image=image,
        state=text.scalar(str(settled.config.agent.state_dir)),
        give=text.scalar(f"--give-folder={settled.config.agent.state_dir}"),
        agent=agent.rstrip("\n"),
        first=first.rstrip("\n"),
        volumes=pod.volumes(settled, needed),
    )


def _filled(settled: Settled, template: str, **parts: str) -> str:
    """Fill a template with what all of them may name, and with parts of its own."""
    known = {
        "name": text.scalar(settled.name),
        "namespace": text.scalar(settled.namespace),
        "config": text.scalar(f"{settled.name}-config"),
        "metrics": text.scalar(f"{settled.name}-metrics"),
        "delegator": text.scalar(f"{settled.name}-auth-delegator"),
        "labels": text.block(_labels(settled)),
    }
    return text.filled(template, known | parts)


def _labels(settled: Settled) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "lightkeeper",
        "app.kubernetes.io/instance": settled.name,
    }
