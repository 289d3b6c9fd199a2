"""Who wrote when, from the API server's audit log, with the writes of the Lease as boundaries."""

from __future__ import annotations

from collections.abc import Sequence

from tests.controlplane.audit import Request

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def is_of_lease(request: Request, lease: str) -> bool:
    """Whether a request wrote this Lease. A create does not name it in its path."""
    if request.resource != "leases" or request.verb not in WRITES:
        return False
    return request.name == lease or (request.verb == "create" and not request.name)


def intruders(requests: Sequence[Request], lease: str, *, within: str = "") -> list[str]:
    """Return the writes by a user who was not the last to write the Lease, dry-runs included.

    Only the holder's writes of the Lease succeed, so the last one to write it holds it. Requests
    are in the order in which the server received them: a write that it received after another had
    asked for the Lease is an intruder, even if the Lease was granted a moment later. ``within``
    limits the objects to those whose name starts so.
    """
    holder, found = "", []
    for request in requests:
        if is_of_lease(request, lease):
            if request.code in (200, 201):
                holder = request.user
        elif request.resource == "leases" or request.verb not in WRITES:
            continue
        elif request.name.startswith(within) and request.user != holder:
            found.append(f"{request.user} while {holder or 'nobody'} led: {_text(request)}")
    return found


def writes_of(requests: Sequence[Request], user: str) -> list[str]:
    """Return what a user wrote, Leases aside, dry-runs included."""
    return [
        _text(request)
        for request in requests
        if request.user == user and request.resource != "leases" and request.verb in WRITES
    ]


def lease_writes(requests: Sequence[Request], user: str, lease: str) -> int:
    """Return how often a user wrote the Lease."""
    return sum(
        request.user == user and request.code in (200, 201) and is_of_lease(request, lease)
        for request in requests
    )


def _text(request: Request) -> str:
    return f"{request.verb} {request.resource}/{request.name} ({request.code})"
