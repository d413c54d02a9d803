"""Names, types and arguments from which the operations of a sequence are made."""

from __future__ import annotations

from random import Random

from mpcli.wire.codec import Table, Typed, Value

QUEUES = ("a", "b", "c")
EXCHANGES = ("x", "y", "z")
OWN_EXCHANGES = ("amq.direct", "amq.fanout", "amq.topic", "amq.headers")
KINDS = ("direct", "fanout", "topic", "headers")
KEYS = ("a", "b", "c", "k", "k.l", "k.l.m", "")
PATTERNS = (*KEYS, "#", "*", "k.#", "*.l", "#.m", "k.*.#")
TAGS = ("t1", "t2", "t3")
GENERATED = "<generated>"
"""Stands for the name of the queue that the broker named last."""
HOUR = 3_600_000
STRANGE: tuple[Value, ...] = (
    -1,
    0,
    3,
    2**40,
    "3",
    "",
    True,
    None,
    1.5,
    b"x",
    ["a"],
    {"a": 1},
    Typed("s", 2),
    Typed("b", -2),
    Typed("D", (1, 5)),
    Typed("T", 9),
)


class Chooser:
    """Chooses; what it has planned for a name makes most declarations agree with each other."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.quorum = random.random() < 0.2
        self.priorities = random.random() < 0.3
        # What has had its time leaves these at a time of its own, or may be delivered all the same.
        self.brief = not (self.quorum or self.priorities)
        self.plans = {name: self._plan_queue(name) for name in QUEUES}
        self.exchange_plans = {name: self._plan_exchange(name) for name in EXCHANGES}

    def chance(self, share: float) -> bool:
        """True in that share of the cases."""
        return self.random.random() < share

    def pick(self, *values: object) -> object:
        """One of them."""
        return self.random.choice(values)

    def queue(self) -> str:
        """One of the queues, seldom one that is not there."""
        return str(self.pick(*QUEUES, *QUEUES, *QUEUES, "", GENERATED) if self.chance(0.97) else "nope")

    def exchange(self) -> str:
        """One of the exchanges, seldom one that is not there."""
        return str(self.pick(*EXCHANGES, *EXCHANGES, *OWN_EXCHANGES, "") if self.chance(0.97) else "nope")

    def _plan_queue(self, name: str) -> tuple[object, ...]:
        quorum = self.quorum and self.chance(0.6)
        arguments = self.arguments(quorum)
        if quorum:
            return (True, False, False, arguments)
        return (self.chance(0.5), self.chance(0.15), self.chance(0.15), arguments)

    def arguments(self, quorum: bool) -> Table:
        """Those of a queue that make sense."""
        table: Table = {}
        if quorum:
            table["x-queue-type"] = "quorum"
            self.maybe(0.3, table, "x-delivery-limit", 0, 1, 2)
        elif self.priorities and self.chance(0.7):
            table["x-max-priority"] = self.pick(1, 3, 10)
        self.maybe(0.5, table, "x-dead-letter-exchange", "", "", "x", "y", "amq.fanout", "nope")
        if "x-dead-letter-exchange" in table:
            self.maybe(0.6, table, "x-dead-letter-routing-key", *QUEUES, "k.l")
        self.maybe(0.3, table, "x-max-length", 0, 1, 2, 3)
        self.maybe(0.1, table, "x-max-length-bytes", 0, 5, 12)
        # A full quorum queue that refuses takes some more, or not: nothing to compare.
        self.maybe(
            0.25, table, "x-overflow", "drop-head", *([] if quorum else ["reject-publish", "reject-publish-dlx"])
        )
        self.maybe(0.15, table, "x-message-ttl", HOUR, HOUR, 0 if self.brief else HOUR)
        self.maybe(0.05, table, "x-expires", HOUR)
        self.maybe(0.2, table, "x-single-active-consumer", True, True, False)
        if not quorum:
            self.maybe(0.05, table, "x-queue-mode", "lazy", "default")
            self.maybe(0.05, table, "x-queue-version", 1, 2)
        self.maybe(0.03, table, "unknown", *STRANGE)
        return table

    def maybe(self, share: float, table: Table, name: str, *values: Value) -> None:
        """Set one of the values, now and then."""
        if self.chance(share):
            table[name] = self.random.choice(values)

    def changed(self, table: Table, *names: str) -> Table:
        """Now and then an argument more, with another value or of another type."""
        if self.chance(0.8):
            return table
        return {**table, str(self.pick(*names)): self.random.choice(STRANGE)}

    def planned_queue(self, name: str) -> tuple[object, ...]:
        """The values of its declaration."""
        durable, exclusive, auto_delete, arguments = self.plans[name]
        return (name, False, durable, exclusive, auto_delete, False, arguments)

    def _plan_exchange(self, name: str) -> tuple[object, ...]:
        arguments: Table = {}
        self.maybe(0.3, arguments, "alternate-exchange", *EXCHANGES, "amq.fanout", "nope", "")
        return (self.pick(*KINDS), self.chance(0.3), self.chance(0.2), self.chance(0.1), arguments)

    def planned_exchange(self, name: str) -> tuple[object, ...]:
        """The values of its declaration."""
        kind, durable, auto_delete, internal, arguments = self.exchange_plans[name]
        return (name, kind, False, durable, auto_delete, internal, False, arguments)
