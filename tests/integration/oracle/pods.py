"""The shape of a pod template: every way in which a field of a built-in kind merges.

Lists with a merge key (containers, env, ports, volumes, mounts, host aliases), atomic ones (args,
tolerations), unions (probes, env values, volume sources), values the server writes its own way
(quantities, modes) and defaults that git spells out.
"""

from __future__ import annotations

from tests.integration.oracle.shapes import (
    Keyed,
    Once,
    OneOf,
    Pick,
    Record,
    Several,
    Shape,
    Subset,
    Words,
    fixed,
    flag,
)

WORDS = ("a", "b", "c")
ALWAYS = ("data", "conf")  # the volumes every pod has, so that mounts find theirs

_VALUE = Record({"value": Pick(("", "1", "true", "two words", "ü"))})
_FIELD = Record(
    {
        "valueFrom": Record(
            {"fieldRef": Record({"fieldPath": Pick(("metadata.name", "spec.nodeName"))})}
        )
    }
)
_KEY_REF = Record({"name": Pick(WORDS), "key": Pick(WORDS)}, {"optional": flag()})
_REFERENCE = Record(
    {
        "valueFrom": OneOf(
            (Record({"configMapKeyRef": _KEY_REF}), Record({"secretKeyRef": _KEY_REF}))
        )
    }
)
_ENV = Keyed(
    "name", ("A", "B", "C", "D"), OneOf((_VALUE, _VALUE, _FIELD, _REFERENCE, Record())), most=4
)
_ENV_FROM = OneOf(
    (
        Record({"configMapRef": Record({"name": Pick(WORDS)})}),
        Record({"secretRef": Record({"name": Pick(WORDS)})}, {"prefix": Pick(("P_", "Q_"))}),
    )
)
_TIMES: dict[str, Shape] = {
    "periodSeconds": Pick((5, 10)),
    "failureThreshold": Pick((3, 4)),
    "initialDelaySeconds": Pick((0, 7)),
}
_PROBE = OneOf(
    (
        Record(
            {"httpGet": Record({"port": Pick((80, "http"))}, {"path": Pick(("/", "/live"))})},
            _TIMES,
        ),
        Record({"tcpSocket": Record({"port": Pick((80, 443))})}, _TIMES),
        Record({"exec": Record({"command": Several(Pick(WORDS), least=1)})}, _TIMES),
    )
)
_RESOURCES = Record(
    {},
    {
        "limits": Words(("cpu", "memory"), ("2Gi", "1000Mi", "1.5Gi", "1", 2)),
        "requests": Words(("cpu", "memory"), ("1m", "100m", "0.5", ".25")),
    },
    odds=0.7,
)
_SECURITY = Record(
    {},
    {
        "runAsUser": Pick((0, 1000)),
        "readOnlyRootFilesystem": flag(),
        "capabilities": Record(
            {}, {"add": Subset(("NET_ADMIN", "SYS_TIME")), "drop": Subset(("ALL",))}, odds=0.8
        ),
    },
)
_CONTAINER = Record(
    {"image": Pick(("registry.example/app:1", "registry.example/app:2", "busybox"))},
    {
        "command": Several(Pick(WORDS)),
        "args": Several(Pick(WORDS)),
        "env": _ENV,
        "envFrom": Several(_ENV_FROM),
        "ports": Keyed(
            "containerPort",
            (80, 443, 8080, 9090),
            Record({}, {"protocol": Pick(("TCP", "UDP")), "hostPort": Pick((0,))}),
        ),
        "resources": _RESOURCES,
        "volumeMounts": Keyed(
            "mountPath",
            ("/a", "/b", "/c"),
            Record({"name": Pick(ALWAYS)}, {"readOnly": flag(), "subPath": Pick(WORDS)}),
        ),
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "lifecycle": Record({}, {"preStop": Record({"exec": Record({"command": fixed(["a"])})})}),
        "securityContext": _SECURITY,
        "imagePullPolicy": Pick(("Always", "IfNotPresent")),
        "terminationMessagePolicy": Pick(("File", "FallbackToLogsOnError")),
        "workingDir": Pick(("/", "/srv")),
        "tty": flag(),
    },
)
_INIT = Record({"image": fixed("busybox")}, {"args": Several(Pick(WORDS)), "env": _ENV})

_ITEMS = Several(Record({"key": Pick(WORDS), "path": Pick(WORDS)}, {"mode": Pick((256, 420))}))
_MODE: dict[str, Shape] = {"defaultMode": Pick((256, 420)), "items": _ITEMS}
_SOURCE = OneOf(
    (
        Record({"emptyDir": fixed({})}),
        Record({"emptyDir": Record({}, {"medium": fixed("Memory"), "sizeLimit": fixed("1Gi")})}),
        Record({"configMap": Record({"name": Pick(WORDS)}, _MODE)}),
        Record({"secret": Record({"secretName": Pick(WORDS)}, _MODE)}),
        Record({"hostPath": Record({"path": fixed("/srv")}, {"type": Pick(("", "Directory"))})}),
        Record(
            {
                "projected": Record(
                    {"sources": Several(Record({"secret": Record({"name": Pick(WORDS)})}), least=1)}
                )
            }
        ),
        Record(),
    )
)


_EXPRESSION = Record(
    {"key": Pick(WORDS), "operator": fixed("In"), "values": Several(Pick(WORDS), least=1)}
)
_AFFINITY = Record(
    {},
    {
        "nodeAffinity": Record(
            {
                "requiredDuringSchedulingIgnoredDuringExecution": Record(
                    {
                        "nodeSelectorTerms": Several(
                            Record({"matchExpressions": Several(_EXPRESSION, least=1)}), least=1
                        )
                    }
                )
            }
        ),
        "podAntiAffinity": Record(
            {
                "requiredDuringSchedulingIgnoredDuringExecution": Several(
                    Record({"topologyKey": Pick(WORDS), "labelSelector": fixed({})})
                )
            }
        ),
    },
    odds=0.8,
)
_SPREAD = Record(
    {
        "maxSkew": Pick((1, 2)),
        "whenUnsatisfiable": fixed("ScheduleAnyway"),
        "labelSelector": Record({"matchLabels": Words(WORDS, WORDS)}),
    }
)
_POD: dict[str, Shape] = {
    "initContainers": Keyed("name", ("init", "wait"), _INIT),
    "nodeSelector": Words(WORDS, WORDS),
    "tolerations": Several(
        OneOf(
            (
                Record({"key": Pick(WORDS), "operator": fixed("Exists")}),
                Record({"key": Pick(WORDS), "value": Pick(WORDS), "effect": fixed("NoSchedule")}),
            )
        )
    ),
    "affinity": _AFFINITY,
    "topologySpreadConstraints": Keyed("topologyKey", ("zone", "node"), _SPREAD),
    "hostAliases": Keyed(
        "ip", ("10.1.1.1", "10.1.1.2"), Record({"hostnames": Several(Pick(WORDS), least=1)})
    ),
    "imagePullSecrets": Keyed("name", WORDS, Record()),
    "dnsPolicy": Pick(("ClusterFirst", "Default")),
    "dnsConfig": Record({}, {"searches": Several(Pick(WORDS)), "nameservers": fixed(["10.1.1.1"])}),
    "serviceAccountName": Pick(("default", "other")),
    "automountServiceAccountToken": flag(),
    "terminationGracePeriodSeconds": Pick((0, 30, 45)),
    "securityContext": Record(
        {}, {"runAsUser": Pick((0, 1000)), "supplementalGroups": Several(Pick((1, 2)))}
    ),
    "hostNetwork": fixed(False),
    "enableServiceLinks": flag(),
}


def template(labels: Shape, *, restart: Shape | None = None, once: bool = False) -> Shape:
    """Return the shape of a pod template with these labels.

    ``restart`` is the restart policy where one is required; ``once`` where the server lets nobody
    change a template (a Job's).
    """
    pod = Record(
        {
            "containers": Keyed("name", ("web", "log", "proxy"), _CONTAINER, always=("app",)),
            "volumes": Keyed("name", ("tmp", "logs"), _SOURCE, always=ALWAYS),
            **({"restartPolicy": restart} if restart else {}),
        },
        _POD if restart else {**_POD, "restartPolicy": fixed("Always")},
        odds=0.25,
    )
    metadata = Record({"labels": labels}, {"annotations": Words(WORDS, WORDS)})
    whole = Record({"metadata": metadata, "spec": pod})
    return Once(whole, slips=0.1) if once else whole
