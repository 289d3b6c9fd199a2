"""The applier ends where kubectl apply ends, whatever happened to the object in between.

Some hundred triples in CI; LIGHTKEEPER_ORACLE_TRIPLES=5000 runs more, and LIGHTKEEPER_ORACLE_ONLY
one by its name, as a failure gives it.
"""

from __future__ import annotations

import os
from itertools import islice
from random import Random

import pytest

from agent.manifest.keys import JSONObject
from tests.integration.oracle.rounds import Report, Round
from tests.integration.oracle.triples import Triple, deck, named, told

ONLY = os.environ.get("LIGHTKEEPER_ORACLE_ONLY", "")
TRIPLES = int(os.environ.get("LIGHTKEEPER_ORACLE_TRIPLES", "300"))
SIZE = 60
"""Triples in a round: every kind about once or more."""

ROUNDS = 1 if ONLY else -(-TRIPLES // SIZE)


DEFINITION = {
    "spec": {
        "group": "NS.example.com",
        "scope": "Namespaced",
        "names": {"kind": "Thing#", "plural": "things#"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    }
}


def _triples(place: int) -> list[Triple]:
    return [named(ONLY)] if ONLY else list(islice(deck(), place * SIZE, (place + 1) * SIZE))


def _judge(report: Report) -> None:
    assert not report.mismatches, str(report)
    if not ONLY:
        # What the server refuses says little: most of a round must be about what it took.
        assert report.refused.total() < SIZE / 5, report.refused
    print(report.summary)


@pytest.mark.asyncio
@pytest.mark.parametrize("place", range(ROUNDS))
async def test_live_objects_end_as_with_kubectl(round_: Round, place: int) -> None:
    _judge(await round_.play(_triples(place)))


@pytest.mark.asyncio
@pytest.mark.parametrize("place", range(-(-ROUNDS // 5)))
async def test_objects_that_kubectl_applied_before_are_taken_over(
    takeover: Round, place: int
) -> None:
    _judge(await takeover.play(_triples(ROUNDS + place)))


@pytest.mark.asyncio
async def test_what_chance_seldom_makes_ends_as_with_kubectl(round_: Round) -> None:
    def definition(*finalizers: str) -> JSONObject:
        return {**DEFINITION, "metadata": {"finalizers": [f"example.com/{f}" for f in finalizers]}}

    def finalizer_of_others(_rng: Random, live: JSONObject) -> None:
        live["metadata"]["finalizers"].insert(0, "example.com/theirs")

    def field_of_others(_rng: Random, live: JSONObject) -> None:
        live["spec"]["nested"] = {"b": 5}

    with_nulls = {"spec": {"free": {"a": None}, "nested": {"b": None}}}
    triples = [
        told(
            "CustomResourceDefinition", definition("a"), definition("a", "b"), finalizer_of_others
        ),
        told("Widget", {"spec": {"free": {"a": 1}}}, with_nulls, field_of_others),
    ]
    _judge(await round_.play(triples))
