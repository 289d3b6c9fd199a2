"""Free ports on the loopback interface."""

from __future__ import annotations

import random
import socket

# Below the range the kernel takes client ports from (32768 up): while a server is down, a client
# that retries could otherwise be given the server's own port, and keep it from coming back.
_CANDIDATES = range(20_000, 32_000)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now."""
    while True:
        port = random.choice(_CANDIDATES)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
