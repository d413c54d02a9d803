"""Random sequences of what clients may do, legal and illegal, each made from its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from choices import EXCHANGES, GENERATED, HOUR, KEYS, KINDS, OWN_EXCHANGES, PATTERNS, QUEUES, STRANGE, TAGS, Chooser

from mpcli.wire.codec import Table, Typed


@dataclass(frozen=True)
class Operation:
    """What one client does: a method by its name and its values, or one of the names that `client.py` adds."""

    connection: int
    channel: int
    what: str
    values: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"{self.connection}.{self.channel} {self.what} {', '.join(map(repr, self.values))}"


def sequence(seed: str, length: int = 26) -> list[Operation]:
    """The sequence of that seed."""
    return _Sequence(Random(seed)).operations(length)


class _Sequence(Chooser):
    """Chooses what is done next."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        # One way to publish for most of the sequence: plain, with confirms, in transactions.
        self.mode = random.choice(("plain", "plain", "confirm", "confirm", "tx"))
        self.number = 0

    def operations(self, length: int) -> list[Operation]:
        found = [Operation(1, 1, "queue.declare", self.planned_queue(name)) for name in QUEUES if self.chance(0.8)]
        found += [
            Operation(1, 1, "exchange.declare", self.planned_exchange(name)) for name in EXCHANGES if self.chance(0.5)
        ]
        found += [Operation(1, 1, "queue.bind", self._queue_bind()) for _ in range(self.random.randint(0, 3))]
        if self.mode != "plain":
            found += [Operation(*self._where(), f"{self.mode}.select", (False,) * (self.mode == "confirm"))]
        names, weights = zip(*_WEIGHTS.items(), strict=True)
        for name in self.random.choices(names, weights, k=length):
            what, values = getattr(self, f"_{name}")()
            found.append(Operation(*self._where(), what, values))
        return found

    def _where(self) -> tuple[int, int]:
        return self.random.choice(((1, 1), (1, 1), (1, 1), (1, 2), (1, 2), (2, 1)))

    # -- queues and exchanges --------------------------------------------------------------------------------------

    def _declare_queue(self) -> tuple[str, tuple[object, ...]]:
        if self.chance(0.5):
            return "queue.declare", self.planned_queue(self.random.choice(QUEUES))
        name = self.pick(*QUEUES, "", "", GENERATED, "amq.mine", "n\new")
        if self.chance(0.3):
            return "queue.declare", (name, True, False, False, False, self.chance(0.1), {})
        flags = [self.chance(share) for share in (0.4, 0.2, 0.2, 0.05)]
        names = ("x-max-length", "x-overflow", "x-message-ttl", "x-expires", "x-max-priority", "x-queue-type", "x-odd")
        more = ("x-dead-letter-exchange", "x-dead-letter-routing-key", "x-single-active-consumer", "x-delivery-limit")
        last = ("x-queue-mode", "x-queue-version", "x-max-length-bytes", "x-dead-letter-strategy", "x-max-age")
        arguments = self.changed(self.arguments(self.chance(0.2)), *names, *more, *last)
        return "queue.declare", (name, False, *flags, arguments)

    def _declare_exchange(self) -> tuple[str, tuple[object, ...]]:
        if self.chance(0.5):
            return "exchange.declare", self.planned_exchange(self.random.choice(EXCHANGES))
        name = self.pick(*EXCHANGES, *EXCHANGES, *OWN_EXCHANGES, "", "amq.mine", "nope")
        passive, kind = self.chance(0.3), self.pick(*KINDS, *KINDS, *KINDS, "odd", "")
        flags = [self.chance(share) for share in (0.4, 0.2, 0.1, 0.05)]
        arguments = self.changed({}, "alternate-exchange", "odd")
        return "exchange.declare", (name, kind, passive, *flags, arguments)

    def _binding_arguments(self) -> Table:
        table: Table = {}
        self.maybe(0.4, table, "x-match", "all", "any", "all-with-x", "any-with-x", "none", *STRANGE)
        self.maybe(0.4, table, "h", 1, "1", None, True, Typed("s", 1), 1.0)
        self.maybe(0.2, table, "x-h", 1, 2)
        return table

    def _queue_bind(self) -> tuple[object, ...]:
        arguments = self._binding_arguments() if self.chance(0.3) else {}
        return (self.queue(), self.exchange(), self.pick(*PATTERNS), self.chance(0.05), arguments)

    def _bind(self) -> tuple[str, tuple[object, ...]]:
        if self.chance(0.7):
            return "queue.bind", self._queue_bind()
        # Into exchanges of our own only: the broker's are not made anew for each sequence.
        target = self.pick(*EXCHANGES, *EXCHANGES, "", "nope")
        return "exchange.bind", (
            target,
            self.exchange(),
            self.pick(*PATTERNS),
            self.chance(0.05),
            self._binding_arguments(),
        )

    def _unbind(self) -> tuple[str, tuple[object, ...]]:
        what, (target, source, key, nowait, arguments) = self._bind()
        if what == "queue.bind":
            return "queue.unbind", (target, source, key, arguments)
        return "exchange.unbind", (target, source, key, nowait, arguments)

    def _delete_queue(self) -> tuple[str, tuple[object, ...]]:
        return "queue.delete", (self.queue(), self.chance(0.3), self.chance(0.3), self.chance(0.1))

    def _delete_exchange(self) -> tuple[str, tuple[object, ...]]:
        return "exchange.delete", (self.exchange(), self.chance(0.5), self.chance(0.1))

    def _purge(self) -> tuple[str, tuple[object, ...]]:
        return "queue.purge", (self.queue(), self.chance(0.1))

    # -- messages --------------------------------------------------------------------------------------------------

    def _publish(self) -> tuple[str, tuple[object, ...]]:
        exchange = "" if self.chance(0.5) else self.exchange()
        key = self.pick(*QUEUES, GENERATED) if not exchange and self.chance(0.9) else self.pick(*KEYS)
        self.number += 1
        properties = self._properties()
        # Several at once to one queue only: RabbitMQ's queues do their work at the same time, each at its own pace.
        together = not exchange and "headers" not in properties and self.chance(0.5)
        times = self.random.randint(2, 4) if together else 1
        return "publish", (exchange, key, self.chance(0.3), self.chance(0.005), properties, self.number, times)

    def _properties(self) -> dict[str, object]:
        found: dict[str, object] = {}
        self.maybe(0.4, found, "delivery_mode", 1, 2, 2)
        self.maybe(0.3, found, "priority", 0, 1, 2, 5, 200)
        self.maybe(0.1, found, "expiration", str(HOUR), str(HOUR), *(["0", "1"] if self.brief else []))
        self.maybe(0.02, found, "expiration", "", "x", "-1", "1.5", "+5000000", " 1", str(2**62))
        self.maybe(0.01, found, "delivery_mode", 0, 3)
        self.maybe(0.02, found, "user_id", "guest", "guest", "nobody")
        self.maybe(0.05, found, "reply_to", "amq.rabbitmq.reply-to", "elsewhere")
        self.maybe(0.05, found, "message_id", "id")
        self.maybe(0.05, found, "timestamp", 5)
        if self.chance(0.3):
            found["headers"] = self._headers()
        return found

    def _headers(self) -> Table:
        headers: Table = {}
        self.maybe(0.4, headers, "h", 1, "1", None, True, Typed("s", 1), 1.0, *STRANGE)
        self.maybe(0.2, headers, "x-h", 1, 2)
        self.maybe(0.3, headers, "CC", ["b"], ["a", "c"], [], ["nope", "a", 5])
        self.maybe(0.15, headers, "BCC", ["c"], ["a"])
        self.maybe(0.02, headers, str(self.pick("CC", "BCC")), *STRANGE)
        self.maybe(0.05, headers, "x-death", [], [{"queue": "a", "reason": "rejected", "count": 2}], *STRANGE)
        return headers

    def _reply(self) -> tuple[str, tuple[object, ...]]:
        return "reply", (self.chance(0.5),)

    def _get(self) -> tuple[str, tuple[object, ...]]:
        return "basic.get", (self.queue(), self.chance(0.3))

    def _consume(self) -> tuple[str, tuple[object, ...]]:
        queue = self.queue() if self.chance(0.95) else "amq.rabbitmq.reply-to"
        no_ack = self.chance(0.9) if queue.startswith("amq.") else self.chance(0.25)
        arguments: Table = {}
        self.maybe(0.2, arguments, "x-priority", 0, 1, 5, -1)
        arguments = arguments if self.chance(0.95) else self.changed(arguments, "x-priority", "odd", "x-stream-offset")
        tag = self.pick(*TAGS, *TAGS, "")
        return "basic.consume", (queue, tag, False, no_ack, self.chance(0.08), self.chance(0.04), arguments)

    def _cancel(self) -> tuple[str, tuple[object, ...]]:
        return "basic.cancel", (self.pick(*TAGS), self.chance(0.1))

    def _settle(self) -> tuple[str, tuple[object, ...]]:
        # Of the deliveries that the channel holds: which one, with those before it, whether to give it back.
        index = self.random.randrange(100) if self.chance(0.97) else -1
        return "settle", (self.pick("ack", "ack", "nack", "nack", "reject"), index, self.chance(0.3), self.chance(0.5))

    def _qos(self) -> tuple[str, tuple[object, ...]]:
        return "basic.qos", (0 if self.chance(0.98) else 5, self.pick(0, 1, 1, 2, 3), self.chance(0.3))

    def _recover(self) -> tuple[str, tuple[object, ...]]:
        return str(self.pick("basic.recover", "basic.recover", "basic.recover-async")), (self.chance(0.95),)

    # -- channels and connections ----------------------------------------------------------------------------------

    def _confirm(self) -> tuple[str, tuple[object, ...]]:
        if self.mode == "confirm" or self.chance(0.1):
            return "confirm.select", (self.chance(0.1),)
        return self._publish()

    def _transaction(self) -> tuple[str, tuple[object, ...]]:
        if self.mode == "tx" or self.chance(0.1):
            return str(self.pick("tx.select", "tx.commit", "tx.commit", "tx.rollback")), ()
        return self._publish()

    def _leave(self) -> tuple[str, tuple[object, ...]]:
        return str(self.pick(*["channel.close"] * 4, "connection.close", "abort")), ()

    def _odd(self) -> tuple[str, tuple[object, ...]]:
        return self.random.choice(
            (("channel.flow", (False,)), ("channel.open", ()), ("access.request", ("/", False, True, True, True, True)))
        )


_WEIGHTS = {
    "publish": 30,
    "get": 9,
    "consume": 12,
    "settle": 22,
    "cancel": 3,
    "qos": 4,
    "recover": 3,
    "purge": 1.5,
    "declare_queue": 6,
    "declare_exchange": 2.5,
    "bind": 5,
    "unbind": 2.5,
    "delete_queue": 2,
    "delete_exchange": 1,
    "reply": 1,
    "confirm": 2,
    "transaction": 6,
    "leave": 4,
    "odd": 0.3,
}
