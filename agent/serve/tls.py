"""The certificate of a server, read again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from agent import log
from agent.serve.errors import ServeError

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class Certificate:
    """A PEM certificate and its key. ``context`` is for the server.

    Each handshake looks whether the files are still the same: a rotated certificate needs no
    restart, and one that cannot be used (half of a pair, say) leaves the last good one in place.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        """Read both; raise ServeError when they cannot be used."""
        self._cert, self._key = cert, key
        self._stamps = self._look()
        try:
            self.context, self._current = self._load(), self._load()
        except (OSError, ssl.SSLError) as error:
            raise ServeError(
                f"metrics-cert-file {cert}, metrics-key-file {key}: {_reason(error)}; "
                "both must be PEM, belong together, and the key must have no passphrase"
            ) from error
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, *_: object) -> None:
        """Serve a handshake, with or without SNI, from the newest good pair."""
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            self._reload()
        connection.context = self._current

    def _reload(self) -> None:
        try:
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            fields = log.fields(file=str(self._cert), error=_reason(error))
            logger.warning("new certificate not usable, keeping the old one", extra=fields)
        else:
            logger.info("certificate read again", extra=log.fields(file=str(self._cert)))

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # An encrypted key must fail, not ask on the terminal.
        context.load_cert_chain(self._cert, self._key, password="")
        return context

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(_stamp(path) for path in (self._cert, self._key))


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return (error.strerror or str(error)).lower()
