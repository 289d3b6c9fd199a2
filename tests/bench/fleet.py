"""Fleets: the same objects for every contestant, as files and as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

_APPS_A_NAMESPACE = 10
_LABELS_OF = "app.kubernetes.io/name"


@dataclass(frozen=True, slots=True)
class Fleet:
    """``apps`` applications of ten objects each, ten to a namespace, a file an application.

    100 applications are 1,010 objects of 11 kinds in 101 files.
    """

    apps: int

    @property
    def namespaces(self) -> list[Object]:
        """The namespaces, which have to be there before the rest."""
        count = -(-self.apps // _APPS_A_NAMESPACE)
        return [_object("v1", "Namespace", f"team-{number:03}") for number in range(count)]

    @property
    def files(self) -> dict[str, list[Object]]:
        """Path -> the objects in it, the namespaces' file included."""
        files = {"namespaces.yaml": self.namespaces}
        for number in range(self.apps):
            namespace = f"team-{number // _APPS_A_NAMESPACE:03}"
            files[f"{namespace}/app-{number:04}.yaml"] = _application(f"app-{number:04}", namespace)
        return files

    @property
    def first(self) -> str:
        """The path of the first application's file."""
        return next(path for path in self.files if "app-" in path)

    @property
    def objects(self) -> list[Object]:
        """All objects, namespaces first."""
        return [found for objects in self.files.values() for found in objects]

    def write(self, folder: Path) -> None:
        """Write the files."""
        for path, objects in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(yaml.safe_dump_all(objects, sort_keys=False))


def _object(api_version: str, kind: str, name: str, **rest: Any) -> Object:
    metadata = {"name": name, **rest.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def _application(name: str, namespace: str) -> list[Object]:
    labels = {_LABELS_OF: name, "app.kubernetes.io/part-of": namespace}
    metadata = {"metadata": {"namespace": namespace, "labels": labels}}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [_container(name)]}}
    selector = {"matchLabels": {_LABELS_OF: name}}
    workload = {"replicas": 2, "selector": selector, "template": pod}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    rbac = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    settings = {f"setting-{number}": f"{name} value {number}" for number in range(8)}
    return [
        _object("v1", "ServiceAccount", name, **metadata),
        _object("v1", "ConfigMap", name, **metadata, data=settings),
        _object("v1", "Secret", name, **metadata, type="Opaque", stringData={"token": f"{name}-t"}),
        _object(rbac, "Role", name, **metadata, rules=rules),
        _object(rbac, "RoleBinding", name, **metadata, roleRef=role, subjects=[account]),
        _object("v1", "Service", name, **metadata, spec=_service(name)),
        _object("apps/v1", "Deployment", name, **metadata, spec=workload),
        _object("apps/v1", "StatefulSet", name, **metadata, spec={**workload, "serviceName": name}),
        _object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            name,
            **metadata,
            spec={"podSelector": selector, "policyTypes": ["Ingress"]},
        ),
        _object("networking.k8s.io/v1", "Ingress", name, **metadata, spec=_ingress(name)),
    ]


def _container(name: str) -> Object:
    return {
        "name": "main",
        "image": f"registry.example/{name}:1.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"OPTION_{number}", "value": f"value {number}"} for number in range(6)],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    }


def _service(name: str) -> Object:
    return {"selector": {_LABELS_OF: name}, "ports": [{"name": "http", "port": 80}]}


def _ingress(name: str) -> Object:
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {"rules": [{"host": f"{name}.example.org", "http": {"paths": paths}}]}
