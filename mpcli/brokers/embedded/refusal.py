"""AMQP's exceptions: what the broker refuses, with RabbitMQ's code and wording."""

from __future__ import annotations

from mpcli.wire.codec import Typed, Value

# Name -> reply code, and whether it ends the connection (else the channel). Section 1.1 of the specification.
_CODES = {
    "NO_ROUTE": (312, False),
    "CONNECTION_FORCED": (320, True),
    "ACCESS_REFUSED": (403, False),
    "NOT_FOUND": (404, False),
    "RESOURCE_LOCKED": (405, False),
    "PRECONDITION_FAILED": (406, False),
    "FRAME_ERROR": (501, True),
    "SYNTAX_ERROR": (502, True),
    "COMMAND_INVALID": (503, True),
    "CHANNEL_ERROR": (504, True),
    "UNEXPECTED_FRAME": (505, True),
    "RESOURCE_ERROR": (506, True),
    "NOT_ALLOWED": (530, True),
    "NOT_IMPLEMENTED": (540, True),
    "INTERNAL_ERROR": (541, True),
}
_MAX_TEXT = 255


class Refusal(Exception):
    """Ends the channel or, when `hard`, the connection.

    `method` is the id of the method at fault, None for the one at hand.
    """

    def __init__(self, name: str, text: str, method: int | None = None) -> None:
        super().__init__(f"{name} - {text}")
        self.code, self.hard = _CODES[name]
        self.method = method

    @property
    def text(self) -> str:
        """The reply text, cut to the 255 bytes of a short string in the way that RabbitMQ cuts it."""
        data = str(self).encode("utf-8", "surrogateescape")
        if len(data) > _MAX_TEXT:
            data = data[: _MAX_TEXT - 3] + b"..."
        return data.decode("utf-8", "surrogateescape")


def not_found(kind: str, name: str, vhost: str) -> Refusal:
    """404 for an exchange or a queue."""
    return Refusal("NOT_FOUND", f"no {kind} '{name}' in vhost '{vhost}'")


def precondition(text: str) -> Refusal:
    """406."""
    return Refusal("PRECONDITION_FAILED", text)


# The names by which RabbitMQ calls field types in its texts.
_TYPE_NAMES = {
    "S": "longstr",
    "I": "signedint",
    "l": "long",
    "L": "long",
    "b": "byte",
    "B": "unsignedbyte",
    "s": "short",
    "u": "unsignedshort",
    "i": "unsignedint",
    "f": "float",
    "d": "double",
    "t": "bool",
    "D": "decimal",
    "T": "timestamp",
    "x": "binary",
}
INTEGERS = frozenset({"byte", "short", "signedint", "long", "unsignedbyte", "unsignedshort", "unsignedint"})


def type_name(value: Value) -> str:  # noqa: PLR0911 - one line for each type
    """RabbitMQ's name for the type of a field value."""
    if isinstance(value, Typed):
        return _TYPE_NAMES[value.tag]
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "signedint" if -(2**31) <= value < 2**31 else "long"
    if isinstance(value, str):
        return "longstr"
    if isinstance(value, float):
        return "double"
    if isinstance(value, dict):
        return "table"
    if isinstance(value, list):
        return "array"
    return "void" if value is None else "binary"


def type_class(name: str) -> str:
    """Types that RabbitMQ compares with each other, by the name of their class."""
    if name in INTEGERS or name == "decimal":
        return "int"
    return "float" if name == "double" else name


def inner(value: Value) -> Value:
    """The value without its type letter."""
    return value.value if isinstance(value, Typed) else value


def as_term(value: Value) -> str:  # noqa: PLR0911 - one line for each type
    """The value as Erlang prints it, for texts."""
    value = inner(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "undefined"
    if isinstance(value, bytes):
        return as_binary(value)
    if isinstance(value, str):
        return as_binary(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, tuple):  # a decimal
        return f"{{{','.join(map(str, value))}}}"
    if isinstance(value, list):
        return f"[{','.join(f'{{{type_name(item)},{as_term(item)}}}' for item in value)}]"
    if isinstance(value, dict):
        fields = (f"{{{as_term(name)},{type_name(item)},{as_term(item)}}}" for name, item in value.items())
        return f"[{','.join(fields)}]"
    return str(value)


def as_binary(data: bytes) -> str:
    """Bytes as Erlang prints them: quoted when all of them are printable."""
    if data and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in data):
        text = data.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        return f'<<"{text}">>'.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f"<<{','.join(map(str, data))}>>"
