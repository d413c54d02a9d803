"""Where the embedded broker answers otherwise on purpose, or RabbitMQ's own answer is a matter of chance.

Each has its reason, and its row in docs/reference/embedded-broker.md where a client can see it. After such a difference
the two brokers are not in the same state any more, so a sequence ends with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from operations import Operation

_ENDS = ("connection.close", "abort")


@dataclass(frozen=True)
class Allowed:
    """`covers` says whether this is why the last of the operations is answered otherwise by the embedded broker (the
    first text) than by RabbitMQ (the second one)."""

    reason: str
    covers: Callable[[list[Operation], str, str], bool]


ALLOWED = (
    Allowed(
        "the embedded broker has no streams",
        lambda operations, ours, theirs: "the embedded broker has no streams" in ours,
    ),
    Allowed(
        "RabbitMQ fails over an argument that it should refuse",
        lambda operations, ours, theirs: (
            operations[-1].what == "queue.declare" and "[541, 'INTERNAL_ERROR', 0, 0]" in theirs
        ),
    ),
    Allowed(
        "RabbitMQ hands what a connection held to its other channels while they end",
        lambda operations, ours, theirs: operations[-1].what in _ENDS and sorted(ours) == sorted(theirs),
    ),
    Allowed(
        "RabbitMQ hands what a connection held to a consumer of it that does not acknowledge, and it is lost",
        lambda operations, ours, theirs: (
            operations[-1].what in _ENDS
            and any(_takes_without_acknowledging(operation, operations[-1].connection) for operation in operations)
            and _without_counts(ours) == _without_counts(theirs)
        ),
    ),
    Allowed(
        "RabbitMQ forgets how long a message was to live when it reads it from the disk, where a lazy queue has all",
        lambda operations, ours, theirs: (
            "'x-queue-mode': 'lazy'" in str(list(map(str, operations)))
            and _without_expiration(ours) == _without_expiration(theirs)
        ),
    ),
    Allowed(
        "Erlang breaks a text of more than 80 characters into lines",
        lambda operations, ours, theirs: re.sub(r",\\+n +", ",", theirs) == ours,
    ),
)


def _takes_without_acknowledging(operation: Operation, connection: int) -> bool:
    return operation.what == "basic.consume" and operation.connection == connection and operation.values[3] is True


def _without_counts(text: str) -> str:
    return re.sub(r"('\w+': )(\d+|\(\d+, (\d+)\))", r"\1\3", text)


def _without_expiration(text: str) -> str:
    return re.sub(r", \('original-expiration', '[^']*'\)", "", text)


def allowed(operations: list[Operation], ours: str, theirs: str) -> str:
    """Why the answers may differ, empty when they may not."""
    return next((known.reason for known in ALLOWED if known.covers(operations, ours, theirs)), "")
