"""What Services, volumes' claims and the kinds that hold data say."""

from __future__ import annotations

from tests.integration.oracle.pods import WORDS
from tests.integration.oracle.shapes import (
    Keyed,
    Once,
    Pick,
    Record,
    Several,
    Subset,
    Words,
    fixed,
    flag,
    spec,
)

SERVICE = spec(
    {
        "ports": Keyed(
            "port",
            (80, 443, 8080, 9090),
            Record({}, {"targetPort": Pick((80, "http")), "protocol": Pick(("TCP", "UDP"))}),
            always=(53,),
            implied=lambda port: {"name": f"p{port}"},
        )
    },
    {
        "type": Pick(("ClusterIP", "NodePort", "LoadBalancer")),
        "selector": Words(("app", "tier"), WORDS),
        "sessionAffinity": Pick(("None", "ClientIP")),
        "externalIPs": Subset(("10.9.0.1", "10.9.0.2")),
        "publishNotReadyAddresses": flag(),
    },
)
_DATA = ("", "1", "true", "line\nline\n", " ü", "x" * 300)
CONFIG_MAP = Record(
    {},
    {
        "data": Words(("a", "b.yaml", "c"), _DATA),
        "binaryData": Words(("x", "y"), ("AA==", "3q2+7w==")),
        "immutable": fixed(False),
    },
    odds=0.7,
)
SECRET = Record(
    {"type": Once(Pick(("Opaque", "example.com/own")))},
    {"data": Words(("a", "b.yaml", "c"), ("", "AA==", "cGFzcw==", "3q2+7w=="))},
    odds=0.8,
)
SERVICE_ACCOUNT = Record(
    {},
    {
        "secrets": Keyed("name", WORDS, Record()),
        "imagePullSecrets": Keyed("name", WORDS, Record()),
        "automountServiceAccountToken": flag(),
    },
    odds=0.6,
)
VOLUME_CLAIM = spec(
    {
        "accessModes": Once(Pick((["ReadWriteOnce"], ["ReadOnlyMany", "ReadWriteOnce"]))),
        "resources": Once(fixed({"requests": {"storage": "1024Mi"}}), slips=0.1),
    },
    {},
)
ENDPOINTS = Record(
    {
        "subsets": Several(
            Record(
                {
                    "addresses": Several(Record({"ip": Pick(("10.9.0.1", "10.9.0.2"))}), least=1),
                    "ports": Keyed(
                        "port",
                        (443, 9090),
                        Record({}, {"protocol": fixed("TCP")}),
                        always=(80,),
                        implied=lambda port: {"name": f"p{port}"},
                    ),
                }
            )
        )
    }
)
