"""What third parties do to live objects: people, webhooks, autoscalers, controllers.

Each edit changes a live object in place. It is made on both sides with the same random numbers,
so it may look only at what is the same there: not at names the server gives, nor at our marks.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from agent.manifest.keys import JSONObject

Edit = Callable[[Random, JSONObject], None]

_WORDS = ("a", "b", "edited")


def edits_of(kind: str) -> list[Edit]:
    """Return what may happen to a live object of a kind."""
    special = [edit for kinds, edit in _SPECIAL if kind in kinds]
    return [*_ANY, *special, *special]


# --- any object -----------------------------------------------------------------------------------


def label_set(rng: Random, live: JSONObject) -> None:
    _metadata(live, "labels")[rng.choice(("app", "tier", "injected"))] = rng.choice(_WORDS)


def label_removed(rng: Random, live: JSONObject) -> None:
    _metadata(live, "labels").pop(rng.choice(("app", "tier", "team")), None)


def annotation_set(rng: Random, live: JSONObject) -> None:
    _metadata(live, "annotations")[rng.choice(("note", "injected"))] = rng.choice(_WORDS)


def annotation_removed(rng: Random, live: JSONObject) -> None:
    _metadata(live, "annotations").pop(rng.choice(("note", "a.example/note")), None)


def finalizer_added(rng: Random, live: JSONObject) -> None:
    finalizers = live["metadata"].setdefault("finalizers", [])
    if (name := rng.choice(("example.com/a", "example.com/theirs"))) not in finalizers:
        finalizers.insert(rng.randint(0, len(finalizers)), name)


def finalizers_changed(rng: Random, live: JSONObject) -> None:
    _shorten_or_shuffle(rng, live["metadata"].setdefault("finalizers", []))


def owner_added(_rng: Random, live: JSONObject) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "0-1"}
    live["metadata"].setdefault("ownerReferences", []).append(owner)


# --- pods -----------------------------------------------------------------------------------------


def sidecar_injected(rng: Random, live: JSONObject) -> None:
    containers = _pod(live)["containers"]
    name = rng.choice(("sidecar", "log"))
    if all(container["name"] != name for container in containers):
        injected = {"name": name, "image": "mesh", "env": [{"name": "A", "value": "mesh"}]}
        containers.insert(rng.randint(0, len(containers)), injected)


def init_container_injected(rng: Random, live: JSONObject) -> None:
    containers = _pod(live).setdefault("initContainers", [])
    if all(container["name"] != "mesh-init" for container in containers):
        containers.insert(rng.randint(0, len(containers)), {"name": "mesh-init", "image": "mesh"})


def containers_changed(rng: Random, live: JSONObject) -> None:
    containers = _pod(live)["containers"]
    if len(containers) > 1:
        _shorten_or_shuffle(rng, containers)


def env_injected(rng: Random, live: JSONObject) -> None:
    env = _container(rng, live).setdefault("env", [])
    name = rng.choice(("A", "B", "MESH"))
    for entry in env:
        if entry["name"] == name:
            entry.pop("valueFrom", None)
            entry["value"] = "edited"
            return
    env.insert(rng.randint(0, len(env)), {"name": name, "value": "injected"})


def env_changed(rng: Random, live: JSONObject) -> None:
    _shorten_or_shuffle(rng, _container(rng, live).setdefault("env", []))


def port_opened(rng: Random, live: JSONObject) -> None:
    ports = _container(rng, live).setdefault("ports", [])
    number = rng.choice((80, 443, 15001))
    if all(port["containerPort"] != number for port in ports):
        ports.insert(rng.randint(0, len(ports)), {"containerPort": number, "protocol": "TCP"})


def ports_changed(rng: Random, live: JSONObject) -> None:
    _shorten_or_shuffle(rng, _container(rng, live).setdefault("ports", []))


def volume_injected(rng: Random, live: JSONObject) -> None:
    volumes = _pod(live).setdefault("volumes", [])
    if all(volume["name"] != "token" for volume in volumes):
        volumes.insert(rng.randint(0, len(volumes)), {"name": "token", "emptyDir": {}})
    mounts = _container(rng, live).setdefault("volumeMounts", [])
    if all(mount["mountPath"] != "/token" for mount in mounts):
        mounts.append({"name": "token", "mountPath": "/token"})


def volume_replaced(rng: Random, live: JSONObject) -> None:
    volumes = _pod(live).setdefault("volumes", [])
    if volumes:
        place = rng.randrange(len(volumes))
        volumes[place] = {"name": volumes[place]["name"], "configMap": {"name": "edited"}}


def volumes_shuffled(rng: Random, live: JSONObject) -> None:
    rng.shuffle(_pod(live).setdefault("volumes", []))


def image_changed(rng: Random, live: JSONObject) -> None:
    _container(rng, live)["image"] = "edited"


def args_changed(rng: Random, live: JSONObject) -> None:
    _container(rng, live)["args"] = [rng.choice(_WORDS)]


def probe_replaced(rng: Random, live: JSONObject) -> None:
    _container(rng, live)["livenessProbe"] = {"tcpSocket": {"port": 1}, "timeoutSeconds": 9}


def resources_set(rng: Random, live: JSONObject) -> None:
    resources = _container(rng, live).setdefault("resources", {})
    resources.setdefault("limits", {})[rng.choice(("cpu", "example.com/gpu"))] = "3"


def pod_annotated(rng: Random, live: JSONObject) -> None:
    metadata = _template(live).setdefault("metadata", {})
    metadata.setdefault("annotations", {})[rng.choice(("a", "restartedAt"))] = rng.choice(_WORDS)


def placement_changed(rng: Random, live: JSONObject) -> None:
    pod = _pod(live)
    pod.setdefault("nodeSelector", {})[rng.choice(_WORDS)] = "edited"
    pod.setdefault("tolerations", []).append({"key": "theirs", "operator": "Exists"})


def pull_secret_injected(rng: Random, live: JSONObject) -> None:
    secrets = _pod(live).setdefault("imagePullSecrets", [])
    if {"name": "theirs"} not in secrets:
        secrets.insert(rng.randint(0, len(secrets)), {"name": "theirs"})


def scaled(rng: Random, live: JSONObject) -> None:
    live["spec"]["replicas"] = rng.choice((0, 2, 7))


def strategy_changed(rng: Random, live: JSONObject) -> None:
    surge = rng.choice(({"maxSurge": 9}, {"maxUnavailable": "40%"}))
    replaced = {"type": "RollingUpdate", "rollingUpdate": surge}
    live["spec"]["strategy"] = rng.choice((replaced, {"type": "Recreate"}))


def suspended(_rng: Random, live: JSONObject) -> None:
    live["spec"]["suspend"] = not live["spec"].get("suspend", False)


# --- other kinds ----------------------------------------------------------------------------------


def service_port_opened(rng: Random, live: JSONObject) -> None:
    ports = live["spec"]["ports"]
    number = rng.choice((80, 15001))
    if all(port["port"] != number for port in ports):
        added = {"port": number, "name": f"p{number}", "protocol": "TCP"}
        ports.insert(rng.randint(0, len(ports)), added)


def service_ports_changed(rng: Random, live: JSONObject) -> None:
    if len(live["spec"]["ports"]) > 1:
        _shorten_or_shuffle(rng, live["spec"]["ports"])


def node_ports_swapped(_rng: Random, live: JSONObject) -> None:
    ports = [port for port in live["spec"]["ports"] if port.get("nodePort")]
    numbers = [port["nodePort"] for port in ports]
    for port, number in zip(ports, numbers[1:] + numbers[:1], strict=True):
        port["nodePort"] = number


def service_changed(rng: Random, live: JSONObject) -> None:
    spec = live["spec"]
    change = rng.choice(("selector", "affinity", "target", "ips"))
    if change == "selector":
        spec.setdefault("selector", {})[rng.choice(("app", "theirs"))] = "edited"
    elif change == "affinity":
        spec["sessionAffinity"] = "ClientIP"
    elif change == "target":
        rng.choice(spec["ports"])["targetPort"] = 1
    else:
        spec["externalIPs"] = ["10.9.0.9"]


def data_changed(rng: Random, live: JSONObject) -> None:
    data = live.setdefault("data", {})
    key = rng.choice(("a", "b.yaml", "theirs"))
    if rng.random() < 0.3 and len(data) > 1:
        data.pop(key, None)
    else:
        data[key] = "ZWRpdGVk"


def secrets_injected(rng: Random, live: JSONObject) -> None:
    field = rng.choice(("secrets", "imagePullSecrets"))
    secrets = live.setdefault(field, [])
    if rng.random() < 0.4:
        _shorten_or_shuffle(rng, secrets)
    elif {"name": "theirs"} not in secrets:
        secrets.insert(rng.randint(0, len(secrets)), {"name": "theirs"})


def top_list_changed(rng: Random, live: JSONObject) -> None:
    for name in ("rules", "subjects", "subsets"):
        if live.get(name):
            _shorten_or_shuffle(rng, live[name])


def spec_list_changed(rng: Random, live: JSONObject) -> None:
    lists = [name for name, value in sorted(live["spec"].items()) if isinstance(value, list)]
    if lists:
        _shorten_or_shuffle(rng, live["spec"][rng.choice(lists)])


def autoscaler_changed(rng: Random, live: JSONObject) -> None:
    live["spec"]["maxReplicas"] = rng.choice((3, 50))
    live["spec"].setdefault("behavior", {})["scaleDown"] = {"stabilizationWindowSeconds": 1}


def budget_changed(rng: Random, live: JSONObject) -> None:
    spec = live["spec"]
    spec.pop("maxUnavailable", None)
    spec.pop("minAvailable", None)
    spec[rng.choice(("maxUnavailable", "minAvailable"))] = rng.choice((1, "50%"))
    spec.setdefault("selector", {}).setdefault("matchLabels", {})["theirs"] = "1"


def crd_changed(rng: Random, live: JSONObject) -> None:
    version = rng.choice(live["spec"]["versions"])
    if rng.random() < 0.5:
        column = {"name": "theirs", "type": "string", "jsonPath": ".x"}
        version.setdefault("additionalPrinterColumns", []).append(column)
    else:
        live["spec"]["names"]["categories"] = ["theirs"]


def field_added(rng: Random, live: JSONObject) -> None:
    spec = live["spec"]
    place = rng.choice(("nested", "free", ""))
    inner = spec.get(place) if place else spec
    if isinstance(inner, dict):
        inner[rng.choice(("a", "b", "theirs"))] = rng.choice((1, "x", [1], {"c": 1}, None))
    else:
        spec[place] = {"theirs": 1}


def field_removed(rng: Random, live: JSONObject) -> None:
    live["spec"].pop(rng.choice(("nested", "free", "tags", "items", "mode")), None)


def item_changed(rng: Random, live: JSONObject) -> None:
    items = live["spec"].setdefault("items", [])
    if items and rng.random() < 0.5:
        rng.choice(items)["theirs"] = 1
    elif all(item["name"] != "theirs" for item in items):
        items.insert(rng.randint(0, len(items)), {"name": "theirs"})


# --- how ------------------------------------------------------------------------------------------


def _metadata(live: JSONObject, field: str) -> JSONObject:
    found: JSONObject = live["metadata"].setdefault(field, {})
    return found


def _template(live: JSONObject) -> JSONObject:
    spec = live["spec"]
    found: JSONObject = (
        spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    )
    return found


def _pod(live: JSONObject) -> JSONObject:
    found: JSONObject = _template(live)["spec"]
    return found


def _container(rng: Random, live: JSONObject) -> JSONObject:
    found: JSONObject = rng.choice(_pod(live)["containers"])
    return found


def _shorten_or_shuffle(rng: Random, items: list[Any]) -> None:
    """Never empties a list: what kubectl puts back then, see test_better_than_kubectl."""
    if len(items) > 1 and rng.random() < 0.5:
        items.pop(rng.randrange(len(items)))
    else:
        rng.shuffle(items)


_ANY: list[Edit] = [
    label_set,
    label_removed,
    annotation_set,
    annotation_removed,
    finalizer_added,
    finalizers_changed,
    owner_added,
]
_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob"})
_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_SPEC_LISTS = frozenset({"Ingress", "NetworkPolicy", "Widget"})
_TOP_LISTS = frozenset({"Role", "ClusterRole", "RoleBinding", "Endpoints"})

_SPECIAL: list[tuple[frozenset[str], Edit]] = [
    *(
        (_PODS, edit)
        for edit in (
            sidecar_injected,
            init_container_injected,
            containers_changed,
            env_injected,
            env_changed,
            port_opened,
            ports_changed,
            volume_injected,
            volume_replaced,
            volumes_shuffled,
            image_changed,
            args_changed,
            probe_replaced,
            resources_set,
            pod_annotated,
            placement_changed,
            pull_secret_injected,
        )
    ),
    (_SCALED, scaled),
    (frozenset({"Deployment"}), strategy_changed),
    (frozenset({"CronJob"}), suspended),
    *(
        (frozenset({"Service"}), edit)
        for edit in (
            service_port_opened,
            service_ports_changed,
            node_ports_swapped,
            service_changed,
        )
    ),
    (frozenset({"ConfigMap", "Secret"}), data_changed),
    (frozenset({"ServiceAccount"}), secrets_injected),
    (_TOP_LISTS, top_list_changed),
    (_SPEC_LISTS, spec_list_changed),
    (frozenset({"HorizontalPodAutoscaler"}), autoscaler_changed),
    (frozenset({"PodDisruptionBudget"}), budget_changed),
    (frozenset({"CustomResourceDefinition"}), crd_changed),
    *((frozenset({"Widget"}), edit) for edit in (field_added, field_removed, item_changed)),
]
