"""One scenario, played once: a start, a pass that is killed, a restart, and what came of it."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from agent.plan.ownership import applyset_id
from tests.controlplane.rest import MERGE_PATCH, RequestError
from tests.controlplane.server import ControlPlane
from tests.gitservers.upstream import Upstream
from tests.integration.crash import judge
from tests.integration.crash.launcher import Landing, Launcher
from tests.integration.crash.scenarios import (
    PLURALS,
    Address,
    Object,
    Scenario,
    address,
    strangers,
)

_RESTARTS = 3
"""Passes after the kill in which a track that recreates an object has to get ready: the old one
may still be on its way out, and the pass then says so and leaves it to the next."""

_addresses = itertools.count()


@dataclass(frozen=True, slots=True)
class Played:
    """A trial that was played: the pass that was to be killed, what was there, and the end."""

    namespace: str
    landing: Landing
    before: judge.State
    after: judge.State
    not_ours: frozenset[Address]
    restarted: Landing


class Trial:
    """A namespace, a repository and an agent of their own, for one scenario played once."""

    def __init__(self, control_plane: ControlPlane, launcher: Launcher, folder: Path) -> None:
        self._client = control_plane.client
        self._control_plane = control_plane
        self._launcher = launcher
        unique = token_hex(4)
        self.namespace = f"crash-{unique}"
        self._agent = f"agent-{unique}"
        self._folder = folder / unique
        self._git = Upstream(self._folder / "upstream.git")
        self._committed: set[str] = set()
        self._applyset = applyset_id(name=f"{self._agent}.shop", namespace=self.namespace)
        self._ip = "10.96.{}.{}".format(*divmod(32768 + next(_addresses), 256))

    def play(self, scenario: Scenario, *, deadly: str = "", lose_state: bool = False) -> Played:
        """Play it. ``deadly`` is the point to be killed at, "" for none.

        ``lose_state`` removes the state folder before the restart.
        """
        self._control_plane.create_namespace(self.namespace)
        try:
            others = strangers(agent=self._agent, applyset=self._applyset, namespace=self.namespace)
            for obj in (*others, *scenario.found):
                self._create(obj)
            with self._garbage_collector(scenario.recreated):
                return self._play(scenario, deadly, lose_state, frozenset(map(address, others)))
        finally:
            self._control_plane.remove_namespace(self.namespace)
            shutil.rmtree(self._folder)

    def _play(
        self, scenario: Scenario, deadly: str, lose_state: bool, not_ours: frozenset[Address]
    ) -> Played:
        config = self._configure()
        if scenario.start:
            self._commit(scenario.start)
            if not self._launcher.launch(config).ready:
                raise RuntimeError(f"{scenario.name} does not even start")
        before = self._look()
        self._commit(scenario.commit)
        landing = self._launcher.launch(config, deadly=deadly)
        if scenario.meanwhile is not None:
            self._commit(scenario.meanwhile)
        if lose_state:
            shutil.rmtree(self._folder / "state")
        for _ in range(_RESTARTS if scenario.recreated else 1):
            restarted = self._launcher.launch(config)
            if restarted.ready:
                break
        return Played(self.namespace, landing, before, self._look(), not_ours, restarted)

    def _configure(self) -> Path:
        path = self._folder / "lightkeeper.toml"
        path.write_text(
            f'[agent]\nname = "{self._agent}"\nstate-namespace = "{self.namespace}"\n'
            f'state-dir = "{self._folder / "state"}"\n'
            f'kubeconfig = "{self._control_plane.kubeconfig}"\n'
            f'[[track]]\nname = "shop"\nrepository = "file://{self._git.path}"\n'
        )
        return path

    def _commit(self, objects: tuple[Object, ...]) -> None:
        """Make git say exactly this."""
        files = {"-".join(address(obj)) + ".json": self._own(obj) for obj in objects}
        self._git.commit(files, remove=tuple(self._committed - files.keys()))
        self._committed = set(files)

    def _own(self, obj: Object) -> str:
        own = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
        return json.dumps(own).replace('"IP"', f'"{self._ip}"')

    def _create(self, obj: Object) -> None:
        self._client.text("POST", self._path(PLURALS[obj["kind"]]), json.loads(self._own(obj)))

    def _path(self, plural: str) -> str:
        return f"{judge.FOLDERS[plural]}/namespaces/{self.namespace}/{plural}"

    def _look(self) -> judge.State:
        rename = {
            self.namespace: "NAMESPACE",
            self._agent: "AGENT",
            self._applyset: "APPLYSET",
            self._ip: "IP",
        }
        return judge.look(self._client, self.namespace, rename=rename)

    @contextmanager
    def _garbage_collector(self, doomed: frozenset[Address]) -> Iterator[None]:
        """Finish foreground deletions, which a control plane without controllers does not."""
        over = threading.Event()
        thread = threading.Thread(target=self._collect, args=(doomed, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _collect(self, doomed: frozenset[Address], over: threading.Event) -> None:
        while doomed and not over.wait(0.05):
            for plural, name in doomed:
                path = f"{self._path(plural)}/{name}"
                try:
                    if "deletionTimestamp" in self._client.json("GET", path)["metadata"]:
                        no_more = {"metadata": {"finalizers": None}}
                        self._client.json("PATCH", path, no_more, content_type=MERGE_PATCH)
                except RequestError as error:
                    if error.code not in (404, 409):
                        raise
