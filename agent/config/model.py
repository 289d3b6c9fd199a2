"""What a user can set, as frozen values: Config, Agent, Track and what they are made of.

Field names are the keys of the TOML file with ``_`` for ``-``; the fields of ``Agent`` are also
the flags and the ``LIGHTKEEPER_`` variables. Times are seconds. Holds no secret and reads nothing:
``load`` fills these, and everything else only reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from agent.config.pointers import Pointer

SCOPE_CLUSTER = "cluster"
"""A track that may manage everything (a ClusterGitTrack of Faros)."""

SCOPE_CLUSTER_ONLY = "cluster-only"
"""A track that may manage cluster-scoped objects only (Faros' ExcludeNamespaced)."""


class IgnoredResource(NamedTuple):
    """A resource as discovery names it: plural, group ("" is the core group) and version."""

    resource: str
    group: str
    version: str

    def __str__(self) -> str:
        """Return ``jobs.batch/v1``; ``secrets./v1`` for the core group (faros.md section 2)."""
        return f"{self.resource}.{self.group}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredFields:
    """One entry of ``ignore-fields``: fields of a kind's objects that others may write."""

    kind: str
    """``Kind.group``; ``Kind`` alone for the core group. Any version."""
    pointers: tuple[Pointer, ...]
    """The fields; at least one, and none that tells an object's identity or is a mark of ours."""
    namespace: str = ""
    """Only objects of this namespace. Default "", of any or none."""
    name: str = ""
    """Only objects of this name. Default "", of any."""


class CredentialType(StrEnum):
    """What a deploy key holds (faros.md section 4.1; the last two are ours)."""

    SSH = "SSH"
    """A private key in PEM or OpenSSH form."""
    HTTP_BASIC_AUTH = "HTTPBasicAuth"
    """``<username>:<password>``, split at the first colon."""
    BEARER_TOKEN = "BearerToken"  # noqa: S105 it is the name of a type
    """A token that is sent as it is."""
    GITHUB_APP = "GitHubApp"
    """The private key of a GitHub App, with which short-lived tokens are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a secret is. Exactly one of ``file``, ``env`` and ``secret_name`` is set."""

    file: Path | None = None
    """A file, read anew at each use so that a rotated secret works. Default none."""
    env: str = ""
    """Name of an environment variable. Default none."""
    secret_name: str = ""
    """Name of a Kubernetes Secret. Default none."""
    secret_namespace: str = ""
    """Namespace of that Secret. Default: the track's own, where its scope is one namespace."""
    key: str = ""
    """Which value of that Secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployKey(Place):
    """Where a repository's credential is, and what it is.

    A Secret without ``key``, or a folder, is read whole: what its keys are called says what it
    holds, as in a Secret for Flux (flux.md section 1.1).
    """

    dir: Path | None = None
    """A folder with a file for each key of such a Secret, as one is mounted. Default none."""
    type: CredentialType | None = CredentialType.SSH
    """What is in the place. Default SSH, as in Faros; it must fit the repository's URL. None where
    a Secret or a folder is read whole."""
    passphrase: Place | None = None
    """Where the passphrase of an SSH key is. Default none: the key is not encrypted."""
    app_id: str = ""
    """Id, or client id, of a GitHub App. No default."""
    installation_id: str = ""
    """Id of the GitHub App's installation; this or ``installation_owner``."""
    installation_owner: str = ""
    """The user or organisation that has the GitHub App installed."""
    base_url: str = ""
    """API of a GitHub Enterprise server. Default https://api.github.com."""

    @property
    def is_whole(self) -> bool:
        """Whether all of a Secret or of a folder is meant, not one value."""
        return self.dir is not None or bool(self.secret_name and not self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy(Place):
    """Where the URL of a proxy is; in a place it may carry ``user:password``.

    A Secret without ``key``, or a folder, is read whole: ``address``, ``username``, ``password``.
    """

    dir: Path | None = None
    """A folder with a file for each key of such a Secret. Default none."""
    url: str = ""
    """The URL itself, which then has no credential in it. Default none."""

    @property
    def is_whole(self) -> bool:
        """Whether all of a Secret or of a folder is meant, not one value."""
        return self.dir is not None or bool(self.secret_name and not self.key)


class VerifyMode(StrEnum):
    """What has to be signed; Flux's modes."""

    HEAD = "head"
    """The commit."""
    TAG = "tag"
    """The annotated tag that the reference is; the commit it names needs no signature."""
    TAG_AND_HEAD = "tag-and-head"
    """Both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyKeys:
    """Where public keys are that are not in files. One of ``env`` and ``secret_name`` is set."""

    env: str = ""
    """Name of an environment variable with an armored OpenPGP keyring or lines of SSH keys."""
    secret_name: str = ""
    """Name of a Kubernetes Secret, every entry of which has such keys, whatever it is called.
    Default none."""
    secret_namespace: str = ""
    """Namespace of that Secret. Default: the track's own, where its scope is one namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Who has to have signed what a track uses."""

    keys: tuple[Path, ...] | VerifyKeys
    """Files, or folders of files, with public keys, read anew at each poll: OpenPGP keyrings
    (armored or not), or lines of authorized_keys or allowed_signers. At least one."""
    mode: VerifyMode = VerifyMode.HEAD
    """What has to be signed. Default head, the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The ``[agent]`` table: what holds for the process and for all tracks."""

    name: str = "lightkeeper"
    """Identity, a DNS label: part of every ownership mark, so two agents on one cluster need two
    names, and a changed name is another agent."""
    namespace: str = ""
    """Restrict the agent, and every track, to one namespace. Default "", the whole cluster."""
    ignore_resources: tuple[IgnoredResource, ...] = ()
    """Resources of which no object is created, changed or deleted. Default none."""
    sync_period: float = 300.0
    """Seconds between full passes that compare everything again. Default 5m, as in Faros; drift
    does not wait for it."""
    server_dry_run: bool = True
    """Ask the server what an update would change before sending it. Default true: without it,
    fields that the server defaults or a webhook rewrites look like changes for ever. Drift is put
    back without, where the server has accepted this manifest for this object before."""
    fetch_timeout: float = 30.0
    """Seconds for one whole fetch from a repository, after which it is killed. Default 30s."""
    state_dir: Path = Path("/var/lib/lightkeeper")
    """Folder of mirrors and last good revisions, kept across restarts: with it the agent starts
    and repairs while git is away. Also spelt ``repository-dir``, as in Faros."""
    state_namespace: str = ""
    """Namespace of the ConfigMaps with inventory and status. Default "": the pod's own, else
    ``default``."""
    kubeconfig: Path | None = None
    """A kubeconfig file. Default "": $KUBECONFIG, then in-cluster, then ~/.kube/config."""
    context: str = ""
    """Context of the kubeconfig. Default "", its current one."""
    metrics_bind_address: str = ":8080"
    """Where /metrics and /status are served: ``host:port``, or "0" for nowhere. Default ":8080",
    also for "", as in Faros."""
    metrics_cert_file: Path | None = None
    """PEM certificate, with its chain, of /metrics and /status. Default "": plain HTTP."""
    metrics_key_file: Path | None = None
    """PEM key of that certificate. Both are read anew when they change."""
    metrics_authorization: bool = False
    """Ask the API server who may read /metrics and /status. Default false: whoever reaches them."""
    health_bind_address: str = ":8081"
    """Where /healthz and /readyz are served, always plainly: ``host:port``, or "0" for nowhere.
    Default ":8081", controller-runtime's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One ``[[track]]``: a place in a repository that the cluster has to look like."""

    name: str
    """Identity, a DNS label, unique in the file: part of the ownership marks of its objects."""
    repository: str
    """URL, as git takes it: https, http, ssh, file, ``user@host:path`` or an absolute path.
    Never holds a credential. An absolute path is a git bundle, a bare repository, with a
    ``reference`` a work tree, or else a folder whose files count as they lie on the disk;
    ``file://`` is always a repository."""
    reference: str = ""
    """Branch, tag, full commit SHA, ref name, or ``semver:`` and a range of versions, of which the
    highest tag is taken. Default "", the remote's default branch."""
    sub_path: str = ""
    """Folder in the repository, with no slash at either end. Default "", all of it."""
    ignore: tuple[str, ...] = ()
    """Files and folders that are treated as not there: gitignore patterns, relative to the
    repository's root, which win over its own ``.sourceignore`` files. Default none."""
    interval: float = 60.0
    """Seconds between looks at the remote's refs. Default 1m: a look is one cheap request, and
    nothing more happens when the reference has not moved."""
    scope: str = SCOPE_CLUSTER
    """``cluster``, ``cluster-only`` or the one namespace it may manage. Default ``cluster``, or
    the agent's namespace when that is set."""
    prune: bool = True
    """Delete objects that are no longer in git. Default true, as in Faros."""
    prune_limit: int = 50
    """Percent, 0 to 100: a pass that would delete a larger share of what the track owns is held
    until somebody approves. Default 50, which stops an emptied folder and not a clean-up."""
    suspend: bool = False
    """Stand still: nothing is fetched, applied, put back or deleted. Default false, as Flux'
    ``spec.suspend``; ``lightkeeper suspend`` does the same without a change of the file."""
    adopt: bool = False
    """Take over objects that another track, agent or tool (Flux, Argo CD, Helm, another ApplySet)
    manages. Default false: the first owner keeps them, and they are reported as ignored."""
    ignore_fields: tuple[IgnoredFields, ...] = ()
    """Fields that are set when an object is created, and from then on left as they are, whoever
    writes them. Default none."""
    deploy_key: DeployKey | None = None
    """Credential of the repository. Default none, anonymous."""
    known_hosts: Place | None = None
    """Host keys for ssh. Default none: the user's and the system's known_hosts."""
    ca: Place | None = None
    """PEM bundle that https servers are checked against. Default none, the system's."""
    client_certificate: Place | None = None
    """PEM certificate, with its chain, that is shown to an https server. Default none."""
    client_key: Place | None = None
    """PEM private key of the client certificate. Default none: it is in the same place."""
    proxy: Proxy | None = None
    """Proxy on the way to the server. Default none: what the environment says."""
    verify: Verify | None = None
    """Use only revisions that are signed by one of these keys; anything else is refused and the
    last good revision stays. Default none: whatever the repository has."""

    @property
    def scope_namespace(self) -> str:
        """The one namespace this track may manage, "" when its scope is the cluster."""
        return "" if self.scope in (SCOPE_CLUSTER, SCOPE_CLUSTER_ONLY) else self.scope


class ElectionMode(StrEnum):
    """What one Lease is the right to write of."""

    AGENT = "agent"
    """All tracks: one replica works, the others stand by."""
    TRACK = "track"
    """One track: replicas share the tracks and take over one another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElection:
    """The ``[leader-election]`` table: which of several replicas writes (faros.md section 13)."""

    enabled: bool = False
    """Write only while holding a Lease. Default false: one replica needs none."""
    id: str = ""
    """Name of the Lease, or what the names of the tracks' Leases start with. Default "": the
    agent's name and ``-leader``."""
    namespace: str = ""
    """Namespace of the Lease. Default "": ``state-namespace``."""
    mode: ElectionMode = ElectionMode.AGENT
    """One Lease for the agent or one a track. Default ``agent``."""
    lease_duration: float = 15.0
    """Seconds after which a Lease that was not renewed may be taken. Default 15s, as client-go."""
    renew_deadline: float = 10.0
    """Seconds without a renewal after which the leader writes nothing more. Default 10s."""
    retry_period: float = 2.0
    """Seconds between attempts to get or renew the Lease. Default 2s."""
    identity: str = ""
    """What the replica calls itself in the Lease; ``_`` and a random part are added, because two
    replicas of one identity would both believe that they lead. Default "": the host's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a user can set; at least one track, their names unique."""

    agent: Agent
    tracks: tuple[Track, ...]
    leader_election: LeaderElection = LeaderElection()
