"""The order a server gives a merged list.

Duty: one function, used to foresee that order when a patch is made and to reproduce it when one
is applied. See "preserve order in strategic merge patch" in Kubernetes' design proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def arrange(
    items: Iterable[Item],
    *,
    order: Iterable[Hashable],
    live: Iterable[Hashable],
    key: Callable[[Item], Hashable],
) -> list[Item]:
    """Sort ``items``: those in ``order`` as it says, the others as in ``live``, then interleave.

    ``order`` and ``live`` are keys. Another item goes before the next ordered one exactly if it
    stood before it in ``live``; relative order within each group is never broken.
    """
    rank, place = _first_index(order), _first_index(live)
    ours: list[Item] = []
    others: list[Item] = []
    for item in items:
        (ours if key(item) in rank else others).append(item)
    ours.sort(key=lambda item: rank[key(item)])
    others.sort(key=lambda item: place.get(key(item), len(place)))
    return _interleave(ours, others, place=place, key=key)


def _interleave(
    ours: Sequence[Item],
    others: Sequence[Item],
    *,
    place: dict[Hashable, int],
    key: Callable[[Item], Hashable],
) -> list[Item]:
    result: list[Item] = []
    waiting = 0
    for item in ours:
        limit = place.get(key(item), -1)
        while waiting < len(others) and place.get(key(others[waiting]), limit) < limit:
            result.append(others[waiting])
            waiting += 1
        result.append(item)
    result.extend(others[waiting:])
    return result


def _first_index(keys: Iterable[Hashable]) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {}
    for index, name in enumerate(keys):
        found.setdefault(name, index)
    return found
