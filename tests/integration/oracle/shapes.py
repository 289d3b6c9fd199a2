"""Shapes: how a value of a manifest is drawn, and drawn again from the version before.

Duty: A from nothing, B from A, as commits do it: fields come, go and change, lists grow, shrink
and change order, maps are emptied, a null stands where a value stood. Must not know Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

DROPPED = 0.2  # the odds that an optional field or an element goes
ADDED = 0.25  # the odds that one comes
SHUFFLED = 0.25  # the odds that a list changes its order
NULL = 0.03  # the odds that an optional field is null


class Shape(Protocol):
    """A set of values, as a commit would pick from it."""

    def draw(self, rng: Random) -> Any:
        """Return a value."""

    def redraw(self, rng: Random, old: Any) -> Any:
        """Return the value a later commit has; ``old`` stays as it is."""


@dataclass(frozen=True)
class Pick:
    """One of a few values."""

    values: Sequence[Any]

    def draw(self, rng: Random) -> Any:
        return rng.choice(self.values)

    def redraw(self, rng: Random, old: Any) -> Any:
        return old if rng.random() < 0.6 else rng.choice(self.values)


@dataclass(frozen=True)
class Once:
    """What the server lets nobody change: a later commit says the same, but for ``slips``."""

    shape: Shape
    slips: float = 0.0

    def draw(self, rng: Random) -> Any:
        return self.shape.draw(rng)

    def redraw(self, rng: Random, old: Any) -> Any:
        return self.shape.redraw(rng, old) if rng.random() < self.slips else old


@dataclass(frozen=True)
class OneOf:
    """One of several shapes; a later commit keeps the value or draws any of them."""

    shapes: Sequence[Shape]

    def draw(self, rng: Random) -> Any:
        return rng.choice(self.shapes).draw(rng)

    def redraw(self, rng: Random, old: Any) -> Any:
        return old if rng.random() < 0.5 else self.draw(rng)


@dataclass(frozen=True)
class Record:
    """A map with fixed fields.

    ``odds`` is how often an optional one is there, ``null`` how often it is null then.
    """

    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)
    odds: float = 0.3
    null: float = NULL

    def draw(self, rng: Random) -> dict[str, Any]:
        drawn = {name: shape.draw(rng) for name, shape in self.required.items()}
        for name, shape in self.optional.items():
            if rng.random() < self.odds:
                drawn[name] = None if rng.random() < self.null else shape.draw(rng)
        return drawn

    def redraw(self, rng: Random, old: Any) -> dict[str, Any]:
        drawn = {name: shape.redraw(rng, old[name]) for name, shape in self.required.items()}
        for name, shape in self.optional.items():
            if old.get(name) is None:
                if rng.random() < ADDED * self.odds:
                    drawn[name] = shape.draw(rng)
            elif rng.random() < self.null:
                drawn[name] = None
            elif rng.random() >= DROPPED:
                drawn[name] = shape.redraw(rng, old[name])
        return drawn


@dataclass(frozen=True)
class Words:
    """A map of any of these keys to any of these values, such as labels."""

    keys: Sequence[str]
    values: Sequence[Any]

    def draw(self, rng: Random) -> dict[str, Any]:
        chosen = rng.sample(self.keys, rng.randint(0, len(self.keys)))
        return {key: rng.choice(self.values) for key in chosen}

    def redraw(self, rng: Random, old: Any) -> dict[str, Any]:
        drawn = {key: value for key, value in old.items() if rng.random() >= DROPPED}
        if rng.random() < 0.5:
            drawn[rng.choice(self.keys)] = rng.choice(self.values)
        return drawn


@dataclass(frozen=True)
class Keyed:
    """A list of maps told apart by ``key``: those of ``always``, and up to ``most`` of ``names``.

    ``implied`` gives the fields that follow from the key.
    """

    key: str
    names: Sequence[Any]
    item: Shape
    always: Sequence[Any] = ()
    most: int = 2
    implied: Callable[[Any], dict[str, Any]] = lambda _: {}

    def draw(self, rng: Random) -> list[Any]:
        others = rng.sample(self.names, rng.randint(0, min(self.most, len(self.names))))
        drawn = [self._new(rng, name) for name in (*self.always, *others)]
        rng.shuffle(drawn)
        return drawn

    def redraw(self, rng: Random, old: Any) -> list[Any]:
        drawn = [self._again(rng, item) for item in old if self._stays(rng, item)]
        taken = {item[self.key] for item in drawn}
        free = [name for name in self.names if name not in taken]
        while free and rng.random() < ADDED:
            name = free.pop(rng.randrange(len(free)))
            drawn.insert(rng.randint(0, len(drawn)), self._new(rng, name))
        if rng.random() < SHUFFLED:
            rng.shuffle(drawn)
        return drawn

    def _stays(self, rng: Random, item: Any) -> bool:
        return item[self.key] in self.always or rng.random() >= DROPPED

    def _new(self, rng: Random, name: Any) -> dict[str, Any]:
        return {self.key: name, **self.implied(name), **self.item.draw(rng)}

    def _again(self, rng: Random, item: Any) -> dict[str, Any]:
        name = item[self.key]
        known = {self.key: name, **self.implied(name)}
        rest = {field: value for field, value in item.items() if field not in known}
        return {**known, **self.item.redraw(rng, rest)}


@dataclass(frozen=True)
class Several:
    """A list of any elements, repeated or not."""

    item: Shape
    least: int = 0
    most: int = 3

    def draw(self, rng: Random) -> list[Any]:
        return [self.item.draw(rng) for _ in range(rng.randint(self.least, self.most))]

    def redraw(self, rng: Random, old: Any) -> list[Any]:
        drawn = [self.item.redraw(rng, item) for item in old if rng.random() >= DROPPED]
        while len(drawn) < self.least or rng.random() < ADDED:
            drawn.insert(rng.randint(0, len(drawn)), self.item.draw(rng))
        if rng.random() < SHUFFLED:
            rng.shuffle(drawn)
        return drawn


@dataclass(frozen=True)
class Subset:
    """A list of some of these values, each at most once, such as finalizers."""

    values: Sequence[Any]

    def draw(self, rng: Random) -> list[Any]:
        return rng.sample(self.values, rng.randint(0, len(self.values)))

    def redraw(self, rng: Random, old: Any) -> list[Any]:
        return list(old) if rng.random() < 0.5 else self.draw(rng)


def fixed(value: Any) -> Pick:
    """Return the shape of one value."""
    return Pick((value,))


def flag() -> Pick:
    """Return the shape of a boolean."""
    return Pick((True, False))


def spec(required: Mapping[str, Shape], optional: Mapping[str, Shape]) -> Record:
    """Return the shape of an object that is all spec."""
    return Record({"spec": Record(required, optional)})
