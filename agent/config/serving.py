"""Addresses that the agent listens on, written as in Go, and which of their keys go together.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from agent.config.values import Converter, Fault, invalid, text

DISABLED = "0"
"""The address that opens no port, as in Faros and controller-runtime."""

_ADDRESS = re.compile(
    r"(?P<host>[A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]):(?P<port>[0-9]{1,5})"
)
_EXPECTED = 'expected "host:port", ":port" for every interface, or "0" for none'


class BindAddress(NamedTuple):
    """Where to listen; ``host`` "" is every interface."""

    host: str
    port: int


def parse_bind_address(address: str) -> BindAddress | None:
    """Split an address that ``bind_address`` took; None when it opens no port."""
    match = _ADDRESS.fullmatch(address)
    return BindAddress(match["host"].strip("[]"), int(match["port"])) if match else None


def bind_address(default: str) -> Converter:
    """Return a converter of addresses; "" is ``default`` (faros.md section 2)."""

    def convert(value: object) -> str:
        given = text(value) or default
        address = parse_bind_address(given)
        if given != DISABLED and (address is None or not 0 < address.port < 65536):
            raise invalid("not an address to listen on", _EXPECTED, got=given)
        return given

    return convert


def check_serving(agent: Mapping[str, object]) -> list[Fault]:
    """Return what is wrong with the keys of ``[agent]`` that protect metrics, taken together."""
    cert, key = agent.get("metrics_cert_file"), agent.get("metrics_key_file")
    faults = []
    if bool(cert) != bool(key):
        missing, given = ("key", "cert") if cert else ("cert", "key")
        message = f"needs metrics-{missing}-file as well: a certificate and its key go together"
        faults.append(Fault(message, (f"metrics-{given}-file",)))
    elif agent.get("metrics_authorization") and not cert:
        message = (
            "needs metrics-cert-file and metrics-key-file: "
            "without TLS, tokens would travel in the clear"
        )
        faults.append(Fault(message, ("metrics-authorization",)))
    return faults
