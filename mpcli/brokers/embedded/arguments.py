"""The `x-` arguments of queues and consumers: checked and read as RabbitMQ 3.10 does."""

from __future__ import annotations

import re
from collections.abc import Callable

from mpcli.brokers.embedded.refusal import INTEGERS, Refusal, inner, precondition, type_name
from mpcli.wire.codec import Table, Value

_TEN_YEARS_MS = 315_360_000_000
_MAX_PRIORITY = 255

CLASSIC, QUORUM, STREAM = "classic", "quorum", "stream"
_KNOWN: dict[str, tuple[str, ...]] = {
    CLASSIC: (
        "x-expires",
        "x-message-ttl",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-max-length",
        "x-max-length-bytes",
        "x-max-priority",
        "x-overflow",
        "x-queue-mode",
        "x-queue-version",
        "x-single-active-consumer",
        "x-queue-type",
        "x-queue-master-locator",
    ),
    QUORUM: (
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-strategy",
        "x-expires",
        "x-max-length",
        "x-max-length-bytes",
        "x-max-in-memory-length",
        "x-max-in-memory-bytes",
        "x-overflow",
        "x-single-active-consumer",
        "x-queue-type",
        "x-quorum-initial-group-size",
        "x-delivery-limit",
        "x-message-ttl",
        "x-queue-leader-locator",
    ),
}
_STREAM_ONLY = ("x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size")
_ALL = {*_KNOWN[CLASSIC], *_KNOWN[QUORUM], *_STREAM_ONLY}

# A check returns what is wrong, as RabbitMQ prints it, or nothing.
Check = Callable[[Value, Table], str]


def _integer(value: Value, _table: Table) -> str:
    kind = type_name(value)
    return "" if kind in INTEGERS else f'"expected integer, got {kind}"'


def _not_negative(value: Value, table: Table) -> str:
    wrong = _integer(value, table)
    return wrong or (f"{{value_negative,{inner(value)}}}" if _number(value) < 0 else "")


def _positive(value: Value, table: Table) -> str:
    wrong = _not_negative(value, table)
    return wrong or ("{value_zero,0}" if _number(value) == 0 else "")


def _milliseconds(value: Value, table: Table) -> str:
    wrong = _integer(value, table)
    return wrong or expiry_error(_number(value))


def _expires(value: Value, table: Table) -> str:
    wrong = _integer(value, table)
    return wrong or ("{value_zero,0}" if _number(value) == 0 else expiry_error(_number(value)))


def expiry_error(milliseconds: int) -> str:
    """What RabbitMQ has against a time to live, or nothing."""
    if milliseconds < 0:
        return f"{{value_negative,{milliseconds}}}"
    return f"{{value_too_large,{milliseconds}}}" if milliseconds > _TEN_YEARS_MS else ""


def _priority(value: Value, table: Table) -> str:
    wrong = _not_negative(value, table)
    return wrong or (f"{{max_value_exceeded,{inner(value)}}}" if _number(value) > _MAX_PRIORITY else "")


def _text(value: Value, _table: Table) -> str:
    return "" if type_name(value) == "longstr" else f"{{unacceptable_type,{type_name(value)}}}"


def _dead_letter_key(value: Value, table: Table) -> str:
    return _text(value, table) or ("" if "x-dead-letter-exchange" in table else "routing_key_but_no_dlx_defined")


def _flag(value: Value, _table: Table) -> str:
    return "" if type_name(value) == "bool" else f"{{unacceptable_type,{type_name(value)}}}"


def _one_of(wrong: str, *allowed: str) -> Check:
    def check(value: Value, table: Table) -> str:
        return _text(value, table) or ("" if inner(value) in allowed else wrong.format(inner(value)))

    return check


def _version(value: Value, table: Table) -> str:
    wrong = _not_negative(value, table)
    return wrong or ("" if inner(value) in (1, 2) else f"\"unsupported queue version '{inner(value)}'\"")


_master_locator = _one_of("invalid_queue_locator_arg", "client-local", "min-masters", "random")
_queue_type = _one_of("\"unsupported queue type '{}'\"", CLASSIC, QUORUM, STREAM)
_CHECKS: tuple[tuple[str, Check], ...] = (
    ("x-expires", _expires),
    ("x-message-ttl", _milliseconds),
    ("x-dead-letter-exchange", _text),
    ("x-dead-letter-routing-key", _dead_letter_key),
    ("x-dead-letter-strategy", _one_of("invalid_dlx_strategy", "at-most-once", "at-least-once")),
    ("x-max-length", _not_negative),
    ("x-max-length-bytes", _not_negative),
    ("x-max-in-memory-length", _not_negative),
    ("x-max-in-memory-bytes", _not_negative),
    ("x-max-priority", _priority),
    ("x-overflow", _one_of("invalid_overflow", "drop-head", "reject-publish", "reject-publish-dlx")),
    ("x-queue-mode", _one_of("\"unsupported queue mode '{}'\"", "default", "lazy")),
    ("x-queue-version", _version),
    ("x-single-active-consumer", _flag),
    ("x-quorum-initial-group-size", _positive),
    (
        "x-queue-leader-locator",
        _one_of("invalid_queue_locator_arg", "client-local", "random", "least-leaders", "balanced"),
    ),
)


def queue_type(table: Table, resource: str) -> str:
    """The queue type that the arguments ask for. Raises `Refusal` for an unknown one."""
    value = table.get("x-queue-type", CLASSIC)
    wrong = _queue_type(value, table)
    if wrong:
        raise precondition(f"invalid arg 'x-queue-type' for {resource}: {wrong}")
    return str(inner(value))


def check_queue(table: Table, kind: str, resource: str) -> None:
    """Refuse arguments that RabbitMQ refuses for a queue of this type."""
    known = _KNOWN[kind]
    for name, check in _CHECKS:
        if name in known and name in table:
            wrong = check(table[name], table)
            if wrong:
                raise precondition(f"invalid arg '{name}' for {resource}: {wrong}")
    for name in table:
        if name in _ALL and name not in known:
            raise precondition(f"invalid arg '{name}' for {resource} of queue type rabbit_{kind}_queue")
    # RabbitMQ finds this out last, and fails over it (541).
    if "x-queue-master-locator" in table and (wrong := _master_locator(table["x-queue-master-locator"], table)):
        raise precondition(f"invalid arg 'x-queue-master-locator' for {resource}: {wrong}")


def check_consumer(table: Table, kind: str, resource: str) -> None:
    """Refuse the arguments of a consumer that RabbitMQ refuses."""
    if "x-priority" in table:
        wrong = _integer(table["x-priority"], table)
        if wrong:
            raise precondition(f"invalid arg 'x-priority' for {resource}: {wrong}")
    foreign = ("x-stream-offset",) if kind == CLASSIC else ("x-stream-offset", "x-cancel-on-ha-failover")
    for name in table:
        if name in foreign:
            raise precondition(f"invalid arg '{name}' for {resource} of queue type rabbit_{kind}_queue")


def check_name_argument(table: Table, name: str, resource: str) -> str | None:
    """The exchange that `name` (alternate or dead-letter exchange) says, None when absent."""
    if name not in table:
        return None
    value = table[name]
    if type_name(value) != "longstr":
        raise precondition(f"invalid type '{type_name(value)}' for arg '{name}' in {resource}")
    return str(inner(value))


def known_arguments(kind: str) -> tuple[str, ...]:
    """The arguments whose values make two declarations of a queue differ."""
    return _KNOWN[kind]


def _number(value: Value) -> int:
    number = inner(value)
    return number if isinstance(number, int) else 0


def parse_expiration(raw: bytes) -> int:
    """Milliseconds of the `expiration` property. Raises `Refusal` with RabbitMQ's text."""
    text = raw.decode("utf-8", "surrogateescape")
    found = re.match(r"[+-]?[0-9]+", text)
    if found is None:
        raise precondition(f"invalid expiration '{text}': no_integer")
    rest = text[found.end() :]
    wrong = f'{{leftover_string,"{rest}"}}' if rest else expiry_error(int(found.group()))
    if wrong:
        raise precondition(f"invalid expiration '{text}': {wrong}")
    return int(found.group())


class Settings:
    """A queue's arguments, read. Times are in seconds, None where a limit is not set."""

    __slots__ = (
        "dead_letter_exchange",
        "dead_letter_key",
        "delivery_limit",
        "drops_head",
        "expires",
        "max_bytes",
        "max_length",
        "max_priority",
        "reject_publish",
        "reject_to_dead_letter",
        "single_active",
        "ttl",
    )

    def __init__(self, table: Table) -> None:
        self.ttl = self._seconds(table, "x-message-ttl")
        self.expires = self._seconds(table, "x-expires")
        self.dead_letter_exchange = self._name(table, "x-dead-letter-exchange")
        self.dead_letter_key = self._name(table, "x-dead-letter-routing-key")
        self.max_length = self._count(table, "x-max-length")
        self.max_bytes = self._count(table, "x-max-length-bytes")
        overflow = self._name(table, "x-overflow") or "drop-head"
        self.reject_publish = overflow.startswith("reject-publish")
        self.reject_to_dead_letter = overflow == "reject-publish-dlx"
        limited = self.max_length is not None or self.max_bytes is not None
        self.drops_head = limited and not self.reject_publish
        self.max_priority = self._count(table, "x-max-priority") or 0
        self.single_active = inner(table.get("x-single-active-consumer")) is True
        self.delivery_limit = self._count(table, "x-delivery-limit")

    @staticmethod
    def _count(table: Table, name: str) -> int | None:
        value = inner(table.get(name))
        return value if isinstance(value, int) else None

    @classmethod
    def _seconds(cls, table: Table, name: str) -> float | None:
        value = cls._count(table, name)
        return None if value is None else value / 1000

    @staticmethod
    def _name(table: Table, name: str) -> str | None:
        value = inner(table.get(name))
        return value if isinstance(value, str) else None


def refuse_stream(resource: str) -> Refusal:
    """Streams are not provided: 540, so that nobody mistakes a queue for one."""
    return Refusal("NOT_IMPLEMENTED", f"{resource}: the embedded broker has no streams")
