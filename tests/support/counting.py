"""Waiting until a queue holds so many messages."""

from __future__ import annotations

import time

from mpcli.wire.connection import Connection
from mpcli.wire.methods import QUEUE_DECLARE

DEADLINE = 30.0  # seconds


def waiting(connection: Connection, queue: str) -> int:
    """Messages in a queue that are not out for delivery."""
    return connection.request(QUEUE_DECLARE, queue, True, False, False, False, False, {})[1]


def await_count(connection: Connection, queue: str, wanted: int) -> None:
    """Wait until so many are in the queue and not out for delivery."""
    deadline = time.monotonic() + DEADLINE
    while (found := waiting(connection, queue)) != wanted:
        assert time.monotonic() < deadline, f"{found} in {queue}, not {wanted}"
        time.sleep(0.02)


def await_total(broker, queue: str, wanted: int) -> None:
    """Wait for so many messages, those out for delivery included."""
    deadline = time.monotonic() + DEADLINE
    while (found := broker.queues()[queue]) != wanted:
        assert time.monotonic() < deadline, f"{found} in {queue}, not {wanted}"
        time.sleep(0.02)
