"""A triple: one object in git as A, then as B, and what happens to the live one in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from agent.manifest.keys import JSONObject
from tests.integration.oracle.edits import Edit, edits_of
from tests.integration.oracle.kinds import KINDS, Kind
from tests.integration.oracle.writing import write

_UNCHANGED = 0.12  # the odds that git stays as it is: drift alone
_MOST_EDITS = 3
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the file: what it says, and the text that says it. ``NS`` is the namespace."""

    object: JSONObject
    extension: str
    text: str


@dataclass(frozen=True, slots=True)
class Triple:
    """One object's history. All of it follows from kind and number."""

    kind: Kind
    number: int
    first: Version
    then: Version
    edits: tuple[Edit, ...]

    def __str__(self) -> str:
        """Return the name that makes it again."""
        return f"{self.kind.name}/{self.number}"

    @property
    def object_name(self) -> str:
        """Return the object's name; ``NS`` is the namespace."""
        return self.kind.object_name(self.number)

    def meddle(self, live: JSONObject) -> None:
        """Do to a live object what third parties do, in place."""
        rng = Random(f"{self} edits")
        for edit in self.edits:
            edit(rng, live)


def make(kind: Kind, number: int) -> Triple:
    """Return the triple of this kind and number, the same for ever."""
    rng = Random(f"{kind.name}/{number}")
    first = kind.draw(rng, number=number)
    then = first if rng.random() < _UNCHANGED else kind.redraw(rng, first, number=number)
    edits = rng.choices(edits_of(kind.name), k=rng.randint(0, _MOST_EDITS))
    return Triple(kind, number, _version(first, rng), _version(then, rng), tuple(edits))


def told(kind: str, first: JSONObject, then: JSONObject, *edits: Edit) -> Triple:
    """Return a triple that a test wrote by hand: what the objects say beside their names."""
    found = _BY_NAME[kind]
    before, after = (_as_json(found.named(0, said)) for said in (first, then))
    return Triple(found, 0, before, after, edits)


def deck() -> Iterator[Triple]:
    """Return triples without end, each kind by its share."""
    numbers = dict.fromkeys((kind.name for kind in KINDS), 0)
    while True:
        for turn in range(max(kind.share for kind in KINDS)):
            for kind in KINDS:
                if turn < kind.share:
                    yield make(kind, numbers[kind.name])
                    numbers[kind.name] += 1


def named(name: str) -> Triple:
    """Return the triple of a name such as ``Service/17``; KeyError for a kind there is not."""
    kind, _, number = name.partition("/")
    return make(_BY_NAME[kind], int(number))


def _as_json(obj: JSONObject) -> Version:
    return Version(obj, ".json", json.dumps(obj))


def _version(obj: JSONObject, rng: Random) -> Version:
    extension, text = write(obj, rng=rng)
    return Version(obj, extension, text)
