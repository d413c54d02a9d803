"""Whether what is declared again is what is there, and RabbitMQ's words when it is not (406)."""

from __future__ import annotations

from mpcli.brokers.embedded.arguments import CLASSIC
from mpcli.brokers.embedded.refusal import as_term, inner, precondition, type_class, type_name
from mpcli.wire.codec import Table, Value

_ABSENT = object()


def assert_same(current: object, received: object, name: str, resource: str) -> None:
    """406 when a property of an existing exchange or queue differs from the declared one."""
    if current != received:
        raise precondition(
            f"inequivalent arg '{name}' for {resource}: received {_plain(received)} but current is {_plain(current)}"
        )


def assert_same_arguments(current: Table, received: Table, names: tuple[str, ...], resource: str) -> None:
    """406 when one of the arguments that matter differs."""
    for name in names:
        have, want = current.get(name, _ABSENT), received.get(name, _ABSENT)
        if _equal(have, want) or (name == "x-queue-type" and {_name(have), _name(want)} <= {"", CLASSIC}):
            continue
        show = _typed if _ABSENT in (have, want) else _untyped
        raise precondition(
            f"inequivalent arg '{name}' for {resource}: received {show(want)} but current is {show(have)}"
        )


def _equal(one: Value, other: Value) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return type_class(type_name(one)) == type_class(type_name(other)) and inner(one) == inner(other)


def _name(value: Value) -> str:
    return "" if value is _ABSENT else str(inner(value))


def _typed(value: Value) -> str:
    return "none" if value is _ABSENT else f"the value {_quoted(value)} of type '{type_name(value)}'"


def _untyped(value: Value) -> str:
    return "none" if value is None else _quoted(value)


def _quoted(value: Value) -> str:
    plain = inner(value)
    return f"'{plain}'" if isinstance(plain, str) else f"'{as_term(plain)}'"


def _plain(value: object) -> str:
    return f"'{as_term(value)}'" if isinstance(value, bool) else f"'{value}'"
