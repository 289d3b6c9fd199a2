"""What the kinds that rule over others say: RBAC, network, autoscaling, disruption."""

from __future__ import annotations

from tests.integration.oracle.pods import WORDS
from tests.integration.oracle.shapes import Once, OneOf, Pick, Record, Several, Words, fixed, spec

_INT_OR_PERCENT = Pick((1, 2, "10%", "25%"))
_RULE = Record(
    {
        "apiGroups": Several(Pick(("", "apps")), least=1),
        "resources": Several(Pick(("pods", "secrets")), least=1),
        "verbs": Several(Pick(("get", "list", "*")), least=1),
    },
    {"resourceNames": Several(Pick(WORDS))},
)
ROLE = Record({"rules": Several(_RULE)})
_SUBJECTS = Several(
    OneOf(
        (
            Record(
                {"kind": fixed("ServiceAccount"), "name": Pick(WORDS), "namespace": fixed("NS")}
            ),
            Record(
                {"kind": Pick(("User", "Group")), "name": Pick(WORDS)},
                {"apiGroup": fixed("rbac.authorization.k8s.io")},
            ),
        )
    )
)
ROLE_BINDING = Record(
    {
        "roleRef": Once(
            Record(
                {
                    "apiGroup": fixed("rbac.authorization.k8s.io"),
                    "kind": Pick(("Role", "ClusterRole")),
                    "name": Pick(WORDS),
                }
            ),
            slips=0.1,
        )
    },
    {"subjects": _SUBJECTS},
    odds=0.8,
)
_BACKEND = Record(
    {
        "service": Record(
            {
                "name": Pick(WORDS),
                "port": OneOf(
                    (Record({"number": Pick((80, 443))}), Record({"name": fixed("http")}))
                ),
            }
        )
    }
)
_PATH = Record(
    {"path": Pick(("/", "/a")), "pathType": Pick(("Prefix", "Exact")), "backend": _BACKEND}
)
INGRESS = spec(
    {"defaultBackend": _BACKEND},
    {
        "rules": Several(
            Record(
                {},
                {
                    "host": Pick(("a.example", "b.example")),
                    "http": Record({"paths": Several(_PATH, least=1)}),
                },
                odds=0.7,
            )
        ),
        "tls": Several(
            Record(
                {}, {"hosts": Several(Pick(("a.example",))), "secretName": Pick(WORDS)}, odds=0.7
            )
        ),
        "ingressClassName": Pick(WORDS),
    },
)
_PEER = OneOf(
    (
        Record({"podSelector": Record({}, {"matchLabels": Words(WORDS, WORDS)})}),
        Record({"ipBlock": Record({"cidr": Pick(("10.0.0.0/8", "10.1.0.0/16"))})}),
        Record({"namespaceSelector": fixed({})}),
    )
)
_POLICY_PORTS = Several(
    Record({}, {"port": Pick((80, "http")), "protocol": Pick(("TCP", "UDP"))}, odds=0.7)
)
NETWORK_POLICY = spec(
    {"podSelector": Record({}, {"matchLabels": Words(WORDS, WORDS)}, odds=0.6)},
    {
        "policyTypes": Pick((["Ingress"], ["Ingress", "Egress"], ["Egress", "Ingress"])),
        "ingress": Several(Record({}, {"from": Several(_PEER), "ports": _POLICY_PORTS}, odds=0.7)),
        "egress": Several(Record({}, {"to": Several(_PEER), "ports": _POLICY_PORTS}, odds=0.7)),
    },
)
_METRIC = Record(
    {
        "type": fixed("Resource"),
        "resource": Record(
            {
                "name": Pick(("cpu", "memory")),
                "target": OneOf(
                    (Record({"type": fixed("AverageValue"), "averageValue": Pick(("1", "2"))}),)
                ),
            }
        ),
    }
)
_SCALING = Record(
    {},
    {
        "stabilizationWindowSeconds": Pick((0, 60)),
        "policies": Several(
            Record(
                {
                    "type": Pick(("Pods", "Percent")),
                    "value": Pick((1, 9)),
                    "periodSeconds": fixed(15),
                }
            ),
            least=1,
        ),
        "selectPolicy": Pick(("Max", "Min")),
    },
)
AUTOSCALER = spec(
    {
        "maxReplicas": Pick((3, 9)),
        "scaleTargetRef": Record(
            {"apiVersion": fixed("apps/v1"), "kind": fixed("Deployment"), "name": Pick(WORDS)}
        ),
    },
    {
        "minReplicas": Pick((1, 2)),
        # Once: 1.20 keeps them in an annotation, which a patch of the list garbles.
        "metrics": Once(Several(_METRIC, least=1)),
        "behavior": Record({}, {"scaleUp": _SCALING, "scaleDown": _SCALING}, odds=0.7),
    },
)
BUDGET = spec(
    {
        "selector": Record(
            {},
            {
                "matchLabels": Words(WORDS, WORDS),
                "matchExpressions": Several(
                    Record({"key": Pick(WORDS), "operator": fixed("Exists")})
                ),
            },
            odds=0.7,
        )
    },
    {"maxUnavailable": _INT_OR_PERCENT},
)
