"""Manifests of the tests; ``NS`` stands for the test's namespace."""

from __future__ import annotations

import json


def config_map(name: str, **data: str) -> str:
    lines = "".join(f"  {key}: {value!r}\n" for key, value in data.items())
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: NS}}
data:
{lines}"""


def config_map_json(name: str) -> str:
    metadata = {"name": name, "namespace": "NS"}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def secret(name: str, password: str) -> str:
    return f"""\
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: NS}}
stringData: {{password: {password}}}
"""


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.25
        ports: [{containerPort: 80}]
"""

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: KIND.shop.example}
spec:
  group: shop.example
  names: {plural: KIND, kind: KIND}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""

CUSTOM_RESOURCE = """\
apiVersion: shop.example/v1
kind: KIND
metadata: {name: first, namespace: NS}
spec: {sizes: [1, 2, 3]}
"""
