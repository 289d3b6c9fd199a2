"""Store: the small records a reflector keeps, and who is told when one changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from agent.manifest.keys import JSONObject

R = TypeVar("R")

Handler = Callable[[R | None, R | None, JSONObject | None], None]
"""Called with the record before and after; None stands for "not there". Must be quick.

Then comes the object itself, if a watch has just brought it: nobody else keeps it."""


class Store(Generic[R]):
    """Records by ``namespace/name``. Only a reflector writes; handlers see every difference."""

    def __init__(self, handler: Handler[R]) -> None:
        self._records: dict[str, R] = {}
        self._handler = handler

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        """Iterate over a snapshot of the records."""
        return iter(list(self._records.values()))

    def get(self, *, namespace: str, name: str) -> R | None:
        """Return the record of one object, or None."""
        return self._records.get(f"{namespace}/{name}" if namespace else name)

    def put(self, address: str, record: R, body: JSONObject) -> None:
        """Add or replace one record; ``body`` is shown to the handler and not kept."""
        old = self._records.get(address)
        self._records[address] = record
        if old != record:
            self._handler(old, record, body)

    def delete(self, address: str) -> None:
        """Remove one record."""
        old = self._records.pop(address, None)
        if old is not None:
            self._handler(old, None, None)

    def replace(self, records: dict[str, R]) -> None:
        """Take over a whole list: deletions missed while not watching are told as well."""
        before, self._records = self._records, dict(records)
        for address, old in before.items():
            if address not in records:
                self._handler(old, None, None)
        for address, new in records.items():
            if before.get(address) != new:
                self._handler(before.get(address), new, None)
