"""The two sides of the oracle: a namespace each, and who applies to it.

``errors`` are always by object name with ``NS`` for the namespace, so that the sides compare.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.apply.applier import Applier
from agent.apply.desired import Desired, resolve
from agent.apply.inventory import Inventory
from agent.apply.requests import Requests
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject
from agent.manifest.load import load_file
from agent.plan.change import Outcome
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.rest import RequestError, RestClient
from tests.integration.oracle.kinds import Kind
from tests.integration.oracle.triples import Triple, Version

_AT_ONCE = 8
_APPLY = ("apply", "--server-side=false", "--validate=false", "--output=name")
MEDDLER = "somebody-else"
"""The field manager of third parties."""

Files = Sequence[tuple[Triple, Version]]


@dataclass(frozen=True)
class Side:
    """A namespace (plus the cluster-scoped objects that carry its name) and how it is read."""

    namespace: str
    rest: RestClient
    resources: dict[str, Resource] = field(repr=False)

    def own_name(self, triple: Triple) -> str:
        """Return the name the object has on this side."""
        return triple.object_name.replace("NS", self.namespace)

    def own_text(self, version: Version) -> str:
        """Return the file's text on this side."""
        return version.text.replace("NS", self.namespace)

    def live(self, kinds: Iterable[Kind]) -> dict[str, JSONObject]:
        """Read every object of these kinds, by name with ``NS`` for the namespace."""
        found = {}
        for kind in kinds:
            resource = self.resources[kind.name]
            answer = self.rest.json("GET", resource.path(namespace=self.namespace))
            for item in answer["items"]:
                name = item["metadata"]["name"]
                if kind.namespaced or self.namespace in name:
                    found[name.replace(self.namespace, "NS")] = {
                        "apiVersion": kind.gvk.api_version,
                        "kind": kind.gvk.kind,
                        **item,
                    }
        return found

    def replace(self, triple: Triple, obj: JSONObject) -> tuple[JSONObject | None, str]:
        """Write a live object as a third party; return it as stored, or why it was refused."""
        resource = self.resources[triple.kind.name]
        path = resource.path(namespace=self.namespace, name=self.own_name(triple))
        try:
            return self.rest.json("PUT", f"{path}?fieldManager={MEDDLER}", obj), ""
        except RequestError as error:
            return None, str(error)

    def remove_cluster_scoped(self, kinds: Iterable[Kind]) -> None:
        """Delete what no namespace takes along, finalizers or not."""
        cluster = [kind for kind in kinds if not kind.namespaced]
        for obj in self.live(cluster).values():
            resource = self.resources[obj["kind"]]
            path = resource.path(name=obj["metadata"]["name"])
            if obj["metadata"].pop("finalizers", None):
                self.rest.json("PUT", path, obj)
            self.rest.json("DELETE", path)


@dataclass(frozen=True)
class KubectlSide:
    """``kubectl apply`` of a folder of files."""

    side: Side
    kubectl: Kubectl
    folder: Path

    def apply(self, files: Files) -> dict[str, str]:
        """Apply the files in one call; return what went wrong, by object name."""
        self.folder.mkdir(parents=True)
        for place, (_, version) in enumerate(files):
            path = self.folder / f"{place:04}{version.extension}"
            path.write_text(self.side.own_text(version), encoding="utf-8")
        done = self.kubectl(*_APPLY, f"--filename={self.folder}", check=False, timeout=100)
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()
        applied = {line.rpartition("/")[2] for line in done.stdout.splitlines()}
        messages = done.stderr.splitlines()
        names = {triple.object_name: self.side.own_name(triple) for triple, _ in files}
        return {
            name: "\n".join(line for line in messages if _names(line, own)) or done.stderr[:1000]
            for name, own in names.items()
            if own not in applied
        }


@dataclass(frozen=True)
class LightkeeperSide:
    """The applier, some objects at once, as a pass does it."""

    side: Side
    applier: Applier
    discovery: Discovery

    async def apply(self, files: Files) -> dict[str, Outcome]:
        """Apply the files; return the outcomes by object name."""
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(triple: Triple, version: Version) -> Outcome:
            async with free:
                return await self.applier.apply(await self._desired(triple, version))

        outcomes = await asyncio.gather(*(one(*file) for file in files))
        return {
            triple.object_name: outcome
            for (triple, _), outcome in zip(files, outcomes, strict=True)
        }

    async def _desired(self, triple: Triple, version: Version) -> Desired:
        data = self.side.own_text(version).encode()
        loaded = load_file(data, file=f"{triple.object_name}{version.extension}")
        if loaded.error is not None or len(loaded.manifests) != 1:
            raise ValueError(f"{triple}: {loaded.error or 'not one object'} in {version.text}")
        manifest = loaded.manifests[0]
        resource = await self.discovery.resolve(manifest.gvk)
        if resource is None:
            raise ValueError(f"{triple}: the server has no {manifest.gvk}")
        return resolve(manifest, resource)


def lightkeeper(side: Side, client: Client, discovery: Discovery) -> LightkeeperSide:
    """Return the side of an applier with an owner of its own."""
    # An inventory is asked who it is, and never written.
    owner = Inventory(client, agent="oracle", track="shop", namespace=side.namespace).owner
    applier = Applier(Requests(client, server_dry_run=True), owner, digest_key=b"o" * 32)
    return LightkeeperSide(side, applier, discovery)


def _names(line: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", line) is not None
