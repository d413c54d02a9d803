"""The properties of a message as they stand in a content header: flags, then values."""

from __future__ import annotations

from functools import lru_cache
from struct import error as StructError

from mpcli.errors import ProtocolError
from mpcli.wire.codec import LONGLONG, OCTET, SHORT, decode_table, encode_shortstr, encode_table

# Section 1.8 (class basic), in wire order; the letter says the type: s short string, F table, o octet, T timestamp.
PROPERTIES = (
    ("content_type", "s"),
    ("content_encoding", "s"),
    ("headers", "F"),
    ("delivery_mode", "o"),
    ("priority", "o"),
    ("correlation_id", "s"),
    ("reply_to", "s"),
    ("expiration", "s"),
    ("message_id", "s"),
    ("timestamp", "T"),
    ("type", "s"),
    ("user_id", "s"),
    ("app_id", "s"),
    ("cluster_id", "s"),
)
FLAGS = {name: 1 << (15 - index) for index, (name, _) in enumerate(PROPERTIES)}
_IN_ORDER = tuple((name, kind, FLAGS[name]) for name, kind in PROPERTIES)
Properties = dict[str, object]


def encode_properties(properties: Properties) -> bytes:
    """Flags and values, as they stand in a content header. An absent or None property is left out."""
    flags = 0
    parts = []
    for name, kind, flag in _IN_ORDER:
        value = properties.get(name)
        if value is None:
            continue
        flags |= flag
        parts.append(_encode_property(name, kind, value))
    return SHORT.pack(flags) + b"".join(parts)


def _encode_property(name: str, kind: str, value: object) -> bytes:
    try:
        if kind == "s" and isinstance(value, (str, bytes)):
            return encode_shortstr(value)
        if kind == "F" and isinstance(value, dict):
            return encode_table(value)
        if isinstance(value, int):
            return OCTET.pack(value) if kind == "o" else LONGLONG.pack(value)
    except StructError as error:
        raise ProtocolError(f"property {name}: {value!r} does not fit: {error}") from error
    raise ProtocolError(f"property {name} cannot hold {type(value).__name__}")


def decode_properties(data: bytes, at: int = 0) -> tuple[Properties, int]:
    """The properties whose flags stand at `at`, and the position behind them."""
    try:
        (flags,) = SHORT.unpack_from(data, at)
        if flags & 0b11:
            raise ProtocolError("unknown property flags in a content header")
        at += 2
        properties: Properties = {}
        for name, kind in _present(flags):
            if kind == "s":
                end = at + 1 + data[at]
                properties[name] = str(data[at + 1 : end], "utf-8", "surrogateescape")
                at = end
            elif kind == "F":
                properties[name], at = decode_table(data, at)
            else:
                form = OCTET if kind == "o" else LONGLONG
                (properties[name],) = form.unpack_from(data, at)
                at += form.size
    except (IndexError, StructError):
        raise ProtocolError("a content header is cut off") from None
    if at > len(data):
        raise ProtocolError("a content header is cut off")
    return properties, at


@lru_cache(256)
def _present(flags: int) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, kind, flag in _IN_ORDER if flags & flag)
