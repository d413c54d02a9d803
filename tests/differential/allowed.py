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
    """`covers` says whether the embedded broker's answer and RabbitMQ's, as text, differ by this alone."""

    reason: str
    covers: Callable[[Operation, str, str], bool]


ALLOWED = (
    Allowed(
        "the embedded broker has no streams",
        lambda operation, ours, theirs: "the embedded broker has no streams" in ours,
    ),
    Allowed(
        "RabbitMQ fails over an argument that it should refuse",
        lambda operation, ours, theirs: operation.what == "queue.declare" and "[541, 'INTERNAL_ERROR', 0, 0]" in theirs,
    ),
    Allowed(
        "RabbitMQ hands what a connection held to its other channels while they end",
        lambda operation, ours, theirs: operation.what in _ENDS and sorted(ours) == sorted(theirs),
    ),
    Allowed(
        "Erlang breaks a text of more than 80 characters into lines",
        lambda operation, ours, theirs: re.sub(r",\\+n +", ",", theirs) == ours,
    ),
)


def allowed(operation: Operation, ours: str, theirs: str) -> str:
    """Why the answers may differ, empty when they may not."""
    return next((known.reason for known in ALLOWED if known.covers(operation, ours, theirs)), "")
