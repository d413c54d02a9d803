"""What a queue is: its type, its arguments, its delivery limit, asked of the broker without the management API.

A declaration that differs from what exists is refused, and the text of the refusal (406) names the first difference
and the queue's own value. So the queue is declared with arguments that can never be right, and the answers are put
into the next question until the type has been named. Such a declaration cannot make a queue either, should it be
deleted in between: the broker refuses a type, and later a leader locator, that it does not know. Each question leaves
a line in RabbitMQ's log. A limit that a policy sets is not seen this way.
"""

from __future__ import annotations

import re

from mpcli.errors import BrokerRefused
from mpcli.wire.codec import Table, Value
from mpcli.wire.connection import Connection
from mpcli.wire.methods import CHANNEL_CLOSE, QUEUE_DECLARE
from mpcli.wire.refusal import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, RESOURCE_LOCKED

CLASSIC, QUORUM, STREAM, UNKNOWN = "classic", "quorum", "stream", "unknown"
TYPE, LIMIT, DEAD_LETTER_EXCHANGE = "x-queue-type", "x-delivery-limit", "x-dead-letter-exchange"
# What RabbitMQ 4 sets where nobody set one (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
DEFAULT_LIMIT, _DEFAULT_SINCE = 20, 4
_CHANNEL = 9
_IMPOSSIBLE = "mp-probe"
_NO_QUEUE: Table = {"x-queue-leader-locator": _IMPOSSIBLE, "x-max-age": _IMPOSSIBLE}
_MOST_QUESTIONS = 16
# rabbit_misc:assert_args_equivalence: a value is named with its type unless both sides have the same one.
_DIFFERENCE = re.compile(
    r"inequivalent arg '([^']+)' for queue '.*' in vhost '.*': received .+ but current is (.+)", re.DOTALL
)
_TYPED = re.compile(r"the value '(.*)' of type '(\w+)'", re.DOTALL)
_PROPERTIES = ("durable", "auto_delete")


class Traits:
    """`type` is classic, quorum, stream or unknown. `arguments` are those that were found out, by their AMQP names.

    `delivery_limit` is None where there is none; `limit_set` says whether an argument states it, or the broker's own
    default counts.
    """

    __slots__ = ("arguments", "delivery_limit", "limit_set", "type")

    def __init__(self, kind: str, arguments: Table, delivery_limit: int | None = None, limit_set: bool = False) -> None:
        self.type = kind
        self.arguments = arguments
        self.delivery_limit = delivery_limit
        self.limit_set = limit_set

    @property
    def dead_letter_exchange(self) -> str | None:
        """Where its dead letters go; None where they are dropped, unless a policy says otherwise."""
        value = self.arguments.get(DEAD_LETTER_EXCHANGE)
        return value if isinstance(value, str) else None

    def add_policy(self, policy: dict[str, object]) -> None:
        """Count what a policy sets: the lower limit, and where dead letters go when no argument says so."""
        limit = policy.get("delivery-limit")
        if isinstance(limit, int) and not isinstance(limit, bool) and self.type == QUORUM and limit >= 0:
            own = self.delivery_limit if self.limit_set else None
            self.delivery_limit = limit if own is None else min(limit, own)
            self.limit_set = True
        exchange = policy.get("dead-letter-exchange")
        if isinstance(exchange, str):
            self.arguments.setdefault(DEAD_LETTER_EXCHANGE, exchange)


def queue_traits(connection: Connection, queue: str, guess: Table | None = None) -> Traits:
    """Find out what `queue` is; `guess` are arguments that it probably has, each of which saves a question.

    The type is unknown where the user may not declare it, and exclusive queues of others are classic. Raises
    `BrokerError`; a queue that does not exist gives `unknown`.
    """
    probe = _Probe(connection, queue, dict(guess or {}))
    kind = probe.ask(TYPE, {})
    if kind != QUORUM:
        return Traits(str(kind), probe.arguments)
    probe.arguments[TYPE] = QUORUM
    found = probe.ask(LIMIT, _NO_QUEUE)
    limit = int(found) if isinstance(found, (str, int)) and str(found).lstrip("-").isdigit() else None
    if limit is None:
        default = DEFAULT_LIMIT if _major(connection) >= _DEFAULT_SINCE else None
        return Traits(QUORUM, probe.arguments, default)
    probe.arguments[LIMIT] = limit
    return Traits(QUORUM, probe.arguments, limit if limit >= 0 else None, limit_set=True)


class _Probe:
    def __init__(self, connection: Connection, queue: str, arguments: Table) -> None:
        self.arguments = arguments
        self._connection = connection
        self._queue = queue
        self._flags = {"durable": True, "auto_delete": False}

    def ask(self, key: str, more: Table) -> Value:
        """The value of an argument, after those in front of it were found out."""
        for _ in range(_MOST_QUESTIONS):
            refusal = self._declare({**self.arguments, key: _IMPOSSIBLE, **more})
            if refusal.code == RESOURCE_LOCKED:
                return CLASSIC if key == TYPE else None
            found = _DIFFERENCE.search(refusal.message)
            if refusal.code in (ACCESS_REFUSED, NOT_FOUND) or found is None:
                return UNKNOWN if key == TYPE else None
            name, value = found[1], _value(found[2].strip().rstrip("."))
            if name == key:
                return CLASSIC if key == TYPE and value is None else value
            self._learn(name, value)
        return UNKNOWN if key == TYPE else None

    def _learn(self, name: str, value: Value) -> None:
        if name in _PROPERTIES:
            self._flags[name] = not self._flags[name]
        elif value is None:
            self.arguments.pop(name, None)
        else:
            self.arguments[name] = value

    def _declare(self, arguments: Table) -> BrokerRefused:
        connection, flags = self._connection, self._flags
        connection.open_channel(_CHANNEL)
        try:
            connection.request(
                *(QUEUE_DECLARE, self._queue, False, flags["durable"], False, flags["auto_delete"], False, arguments),
                channel=_CHANNEL,
            )
        except BrokerRefused as error:
            return error
        connection.request(CHANNEL_CLOSE, 200, "", 0, 0, channel=_CHANNEL)
        return BrokerRefused("the broker takes any arguments", code=PRECONDITION_FAILED)


def _value(text: str) -> Value:
    if text == "none":
        return None
    typed = _TYPED.fullmatch(text)
    if typed is None:
        return text.strip("'")
    value, kind = typed[1], typed[2]
    if kind == "bool":
        return value == "true"
    if kind in ("float", "double"):
        return float(value)
    return value if kind in ("longstr", "binary") else _number(value)


def _number(text: str) -> Value:
    return int(text) if text.lstrip("-").isdigit() else text


def _major(connection: Connection) -> int:
    version = str(connection.server_properties.get("version", ""))
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 0
