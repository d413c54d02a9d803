"""Exchanges and their bindings: which destinations a routing key leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpcli.brokers.embedded.refusal import as_term, inner, precondition, type_name
from mpcli.brokers.embedded.topic import matches, split_key
from mpcli.wire.codec import Table, Value, encode_table

if TYPE_CHECKING:
    from mpcli.brokers.embedded.queue import Queue

KINDS = ("direct", "fanout", "topic", "headers")


class Binding:
    """From an exchange to a queue or another exchange."""

    __slots__ = ("arguments", "destination", "key", "words")

    def __init__(self, destination: Queue | Exchange, key: str, arguments: Table) -> None:
        self.destination = destination
        self.key = key
        self.arguments = arguments
        self.words = split_key(key)

    @property
    def identity(self) -> tuple[str, str, str, bytes]:
        """Two bindings of one exchange with the same identity are the same binding."""
        return binding_identity(self.destination, self.key, self.arguments)


def binding_identity(destination: Queue | Exchange, key: str, arguments: Table) -> tuple[str, str, str, bytes]:
    """Kind and name of the destination, key, arguments in one order."""
    return destination.resource_kind, destination.name, key, encode_table(dict(sorted(arguments.items())))


class Exchange:
    """Name, type and flags as declared; `alternate` gets what no binding matches."""

    resource_kind = "exchange"

    def __init__(
        self,
        name: str,
        kind: str,
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: Table | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.durable = durable
        self.auto_delete = auto_delete
        self.internal = internal
        self.arguments = arguments or {}
        alternate = inner(self.arguments.get("alternate-exchange"))
        self.alternate = alternate if isinstance(alternate, str) else None
        self.bindings: dict[tuple[str, str, str, bytes], Binding] = {}
        # Where it was ever bound: where to look when it is deleted.
        self.sources: set[Exchange] = set()

    def add(self, binding: Binding) -> None:
        """Bind."""
        self.bindings[binding.identity] = binding
        binding.destination.sources.add(self)

    def check_binding(self, arguments: Table) -> None:
        """Refuse arguments that this type of exchange cannot use."""
        if self.kind != "headers" or "x-match" not in arguments:
            return
        value = arguments["x-match"]
        if type_name(value) != "longstr":
            raise precondition(
                f"Invalid x-match field type {type_name(value)} (value {as_term(value)}); expected longstr"
            )
        if inner(value) not in ("all", "any", "all-with-x", "any-with-x"):
            raise precondition(
                f"Invalid x-match field value {as_term(value)}; expected all, any, all-with-x, or any-with-x"
            )

    def is_bound(self, destination: Queue | Exchange, key: str, arguments: Table) -> bool:
        """Whether there is such a binding."""
        return binding_identity(destination, key, arguments) in self.bindings

    def match(self, key: str, headers: Table) -> list[Queue | Exchange]:
        """The destinations of the bindings that fit, each as often as it is bound."""
        bindings = self.bindings.values()
        if self.kind == "fanout":
            return [binding.destination for binding in bindings]
        if self.kind == "topic":
            words = split_key(key)
            return [binding.destination for binding in bindings if matches(binding.words, words)]
        if self.kind == "headers":
            return [binding.destination for binding in bindings if headers_match(binding.arguments, headers)]
        return [binding.destination for binding in bindings if binding.key == key]


def headers_match(pattern: Table, headers: Table) -> bool:
    """Whether the headers fit the binding's arguments. Names with `x-` count in the `-with-x` modes only."""
    mode = str(inner(pattern.get("x-match", "all")))
    names = [name for name in pattern if name != "x-match" and (mode.endswith("-with-x") or not name.startswith("x-"))]
    fits = (_field_fits(pattern[name], name, headers) for name in names)
    return any(fits) if mode.startswith("any") else all(fits)


def _field_fits(wanted: Value, name: str, headers: Table) -> bool:
    if name not in headers:
        return False
    # A void in the pattern asks for presence only.
    return wanted is None or _comparable(wanted) == _comparable(headers[name])


def _comparable(value: Value) -> object:
    plain = inner(value)
    return (isinstance(plain, bool), plain.encode("utf-8", "surrogateescape") if isinstance(plain, str) else plain)
