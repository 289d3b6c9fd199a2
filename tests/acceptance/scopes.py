"""Scopes of a track, which stand for the kinds of track that Faros has and for its modes."""

from __future__ import annotations

import pytest

from tests.integration.reconcile.conftest import World

BOTH_KINDS = [pytest.param("NS", id="one namespace"), pytest.param("cluster", id="the cluster")]
"""A GitTrack and a ClusterGitTrack, for what is the same in both."""


def scope_line(world: World, scope: str) -> str:
    """Return the line of a ``[[track]]`` that gives it a scope, ``NS`` the test's namespace."""
    return f'scope = "{scope.replace("NS", world.namespace)}"'


def set_scope(world: World, scope: str) -> None:
    """Give the one track a scope."""
    world.track.append(scope_line(world, scope))
