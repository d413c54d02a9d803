"""Waiting until a queue holds so many messages."""

from __future__ import annotations

import time

from mpcli.wire.connection import Connection
from mpcli.wire.methods import QUEUE_DECLARE

DEADLINE = 60.0  # seconds; a machine may be busy


def waiting(connection: Connection, queue: str) -> int:
    """Messages in a queue that are not out for delivery."""
    return connection.request(QUEUE_DECLARE, queue, True, False, False, False, False, {}, wait=DEADLINE)[1]


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


def await_returned(broker, connection: Connection, queue: str) -> None:
    """Wait until nothing of the queue is out for delivery: what a killed process held comes back a moment later."""
    deadline = time.monotonic() + DEADLINE
    while (ready := waiting(connection, queue)) != broker.queues()[queue]:
        assert time.monotonic() < deadline, f"only {ready} in {queue} are not out for delivery"
        time.sleep(0.02)
