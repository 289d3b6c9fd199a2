"""Manifests of the list; ``NS`` is the test's namespace, which makes cluster-wide names unique."""

from __future__ import annotations

BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: name: broken\n"
"""A document whose third line is no YAML."""

RULES = "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n"


def role(name: str) -> str:
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: "{name}", namespace: NS}}
{RULES}"""


def cluster_role(name: str, *, verb: str = "get") -> str:
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: "{name}"}}
{RULES.replace("get", verb)}"""


def cluster_role_binding(*, role: str, user: str, strategy: str) -> str:
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: NS-binding
  annotations: {{faros.pusher.com/update-strategy: {strategy}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"""


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


DAEMON_SET = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: fluentd, namespace: NS}
spec:
  selector: {matchLabels: {app: fluentd}}
  template:
    metadata: {labels: {app: fluentd}}
    spec: {containers: [{name: fluentd, image: "fluentd:1"}]}
"""

NGINX = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx, namespace: NS, labels: {team: web}}
spec:
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: nginx, image: "nginx:1.25"}]}
"""
