"""Gears: a kind of custom resource for an API server of today."""

from __future__ import annotations

import time
from typing import Final

from agent.kube.resource import Resource
from tests.controlplane.newer import NewerServer
from tests.controlplane.rest import RequestError

GEARS: Final = Resource("shop.example", "v1", "Gear", "gears", True, frozenset(), False)
PATH: Final = "/apis/shop.example/v1/namespaces/default/gears"
SPEC: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CRD: Final = {
    "metadata": {"name": "gears.shop.example"},
    "spec": {
        "group": "shop.example",
        "names": {"plural": "gears", "kind": "Gear"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SPEC}}
        ],
    },
}


def serve_gears(server: NewerServer) -> None:
    server.client.json("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)

    def served() -> bool:
        try:
            server.client.text("GET", PATH)
        except RequestError:
            return False
        return True

    while not served():
        time.sleep(0.02)
