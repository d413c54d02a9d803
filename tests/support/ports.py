"""A port for a server that is started later: one that no outgoing connection gets in the meantime."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, below the range from which outgoing connections take theirs."""
    for port in random.sample(range(10_000, 20_000), 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no free port between 10000 and 20000 on 127.0.0.1")
