"""Field values and tables of AMQP 0-9-1, lossless: what was decoded encodes to the same bytes.

Field types follow RabbitMQ's errata to section 4.2.1 of the specification (https://www.rabbitmq.com/amqp-0-9-1-errata),
which differ from the specification's own letters. A value whose Python type alone says how it is encoded (see
`encode_value`) is decoded to that plain value; any other keeps its letter in a `Typed`.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from mpcli.errors import ProtocolError

# A table inside a table inside a table ...: deeper than this is an attack, not a message.
MAX_DEPTH = 64

OCTET = Struct(">B")
SHORT = Struct(">H")
LONG = Struct(">I")
LONGLONG = Struct(">Q")

_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
FIXED = {
    "b": Struct(">b"),
    "B": OCTET,
    "s": Struct(">h"),
    "u": SHORT,
    "I": Struct(">i"),
    "i": LONG,
    "l": Struct(">q"),
    # py-amqp's letter for a number beyond 32 bits; RabbitMQ's rabbit_binary_parser reads it as it reads "l".
    "L": Struct(">q"),
    "f": Struct(">f"),
    "d": Struct(">d"),
    "T": LONGLONG,
}
DECIMAL = Struct(">Bi")
# Bytes behind the letter, by its code; the letters that are not here have a length of four bytes in front, or are none.
WIDTHS = {ord(tag): form.size for tag, form in FIXED.items()} | {ord("t"): 1, ord("V"): 0, ord("D"): DECIMAL.size}

Value = object
Table = dict[str, Value]


class Typed:
    """A field value with its type letter, for those that Python's own type does not tell apart.

    `Typed("s", 3)` is a 16 bit integer, `Typed("T", 1700000000)` a timestamp in seconds, `Typed("D", (2, 314))` the
    decimal 3.14, `Typed("S", b"\\xff")` a long string that is not UTF-8.
    """

    __slots__ = ("tag", "value")

    def __init__(self, tag: str, value: object) -> None:
        self.tag = tag
        self.value = value

    def __repr__(self) -> str:
        return f"Typed({self.tag!r}, {self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Typed) and (self.tag, self.value) == (other.tag, other.value)

    def __hash__(self) -> int:
        return hash((self.tag, repr(self.value)))


# -- encoding ------------------------------------------------------------------------------------------------------


def encode_shortstr(text: str | bytes) -> bytes:
    """Length octet and bytes. Raises `ProtocolError` above 255 bytes (section 4.2.5.3)."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > 255:
        raise ProtocolError(f"a name or key of {len(data)} bytes: AMQP's short strings hold at most 255")
    return OCTET.pack(len(data)) + data


def encode_longstr(text: str | bytes) -> bytes:
    """Four length bytes and the bytes."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return LONG.pack(len(data)) + data


def encode_table(table: Table) -> bytes:
    """A field table with its length in front."""
    parts = []
    for key, value in table.items():
        parts.append(encode_shortstr(key))
        parts.append(encode_value(value))
    return encode_longstr(b"".join(parts))


def encode_value(value: Value) -> bytes:  # noqa: PLR0911 - one line for each type
    """The type letter and the bytes of one field value.

    bool `t`, int `I` when it fits in 32 bits and `l` otherwise, float `d`, str `S`, bytes `x`, None `V`, list `A`,
    dict `F`; everything else is a `Typed`. Raises `ProtocolError` for what AMQP cannot hold.
    """
    if isinstance(value, Typed):
        return _encode_typed(value)
    if isinstance(value, bool):
        return b"t\x01" if value else b"t\x00"
    if isinstance(value, str):
        return b"S" + encode_longstr(value)
    if isinstance(value, int):
        tag = "I" if _INT32_MIN <= value <= _INT32_MAX else "l"
        return _encode_typed(Typed(tag, value))
    if value is None:
        return b"V"
    if isinstance(value, dict):
        return b"F" + encode_table(value)
    if isinstance(value, (list, tuple)):
        return b"A" + encode_longstr(b"".join(map(encode_value, value)))
    if isinstance(value, float):
        return b"d" + FIXED["d"].pack(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"x" + encode_longstr(bytes(value))
    raise ProtocolError(f"AMQP has no field type for {type(value).__name__}")


def _encode_typed(value: Typed) -> bytes:
    tag, inner = value.tag, value.value
    letter = tag.encode("ascii")
    try:
        if tag in FIXED:
            return letter + FIXED[tag].pack(inner)
        if tag == "t":
            return letter + OCTET.pack(inner)
        if tag == "D":
            return letter + DECIMAL.pack(*inner)  # type: ignore[misc]
    except (StructError, TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"{inner!r} does not fit in AMQP field type {tag!r}: {error}") from error
    if tag in ("S", "x") and isinstance(inner, (str, bytes)):
        return letter + encode_longstr(inner)
    raise ProtocolError(f"unknown AMQP field type {tag!r}")


# -- decoding ------------------------------------------------------------------------------------------------------


def decode_shortstr(data: bytes, at: int) -> tuple[str, int]:
    """The string at `at` and the position behind it. Bytes that are not UTF-8 survive as surrogates."""
    try:
        end = at + 1 + data[at]
    except IndexError:
        raise ProtocolError("a short string is cut off") from None
    if end > len(data):
        raise ProtocolError("a short string is cut off")
    return str(data[at + 1 : end], "utf-8", "surrogateescape"), end


def decode_longstr(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes at `at` and the position behind them."""
    try:
        (size,) = LONG.unpack_from(data, at)
    except StructError:
        raise ProtocolError("a long string is cut off") from None
    end = at + 4 + size
    if end > len(data):
        raise ProtocolError("a long string is cut off")
    return bytes(data[at + 4 : end]), end


def decode_table(data: bytes, at: int = 0, depth: int = 0) -> tuple[Table, int]:
    """The table at `at` and the position behind it. Raises `ProtocolError` when the bytes are no table."""
    try:
        (size,) = _length(data, at)
        at += 4
        end = at + size
        if end > len(data):
            raise ProtocolError("a table is cut off")
        return _decode_entries(data, at, end, depth), end
    except (IndexError, StructError):
        raise ProtocolError("a table is cut off") from None


def _decode_entries(data: bytes, at: int, end: int, depth: int) -> Table:
    """The hot loop: a tail decodes the twenty headers of each message, text, small numbers and null nearly all."""
    table: Table = {}
    while at < end:
        tag_at = at + 1 + data[at]
        name = data[at:tag_at]
        key = _keys.get(name)
        if key is None:
            key = _key(name)
        tag = data[tag_at]
        at = tag_at + 1
        if tag == _TEXT:
            start = at + 4
            at = start + _length(data, at)[0]
            raw = data[start:at]
            try:
                table[key] = raw.decode()
            except UnicodeDecodeError:
                table[key] = Typed("S", raw)
        elif tag == _NULL:
            table[key] = None
        elif tag == _INT32:
            (table[key],) = _int32(data, at)
            at += 4
        else:
            table[key], at = decode_value(data, tag_at, depth)
    if at > end:
        raise ProtocolError("a table is longer than it says")
    return table


# Names of headers repeat. A sender of random ones must not fill our memory.
_MAX_KEYS = 1024
_keys: dict[bytes, str] = {}
_length = LONG.unpack_from
_int32 = FIXED["I"].unpack_from
_TEXT, _NULL, _INT32 = b"SVI"


def _key(name: bytes) -> str:
    """The name in the bytes of a short string."""
    if len(_keys) >= _MAX_KEYS:
        _keys.clear()
    key = _keys[name] = decode_shortstr(name, 0)[0]
    return key


def decode_value(data: bytes, at: int, depth: int = 0) -> tuple[Value, int]:  # noqa: C901, PLR0911
    """One field value with its letter, and the position behind it."""
    if depth > MAX_DEPTH:
        raise ProtocolError(f"tables nested deeper than {MAX_DEPTH}")
    tag = chr(data[at]) if at < len(data) else ""
    at += 1
    if tag == "S":
        raw, at = decode_longstr(data, at)
        try:
            return raw.decode(), at
        except UnicodeDecodeError:
            return Typed("S", raw), at
    if tag in FIXED:
        return _decode_fixed(tag, data, at)
    if tag == "F":
        return decode_table(data, at, depth + 1)
    if tag == "V":
        return None, at
    if tag == "A":
        return _decode_array(data, at, depth + 1)
    if tag == "x":
        return decode_longstr(data, at)
    if tag == "t" and at < len(data):
        flag = data[at]
        return (bool(flag) if flag < 2 else Typed("t", flag)), at + 1
    if tag == "D" and at + DECIMAL.size <= len(data):
        return Typed("D", DECIMAL.unpack_from(data, at)), at + DECIMAL.size
    raise ProtocolError(f"unknown or cut off AMQP field type {tag!r}")


def _decode_fixed(tag: str, data: bytes, at: int) -> tuple[Value, int]:
    form = FIXED[tag]
    try:
        (number,) = form.unpack_from(data, at)
    except StructError:
        raise ProtocolError(f"a field of type {tag!r} is cut off") from None
    at += form.size
    natural = tag in ("I", "d") or (tag == "l" and not _INT32_MIN <= number <= _INT32_MAX)
    return (number if natural else Typed(tag, number)), at


def _decode_array(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    content, end = decode_longstr(data, at)
    values: list[Value] = []
    position = 0
    while position < len(content):
        value, position = decode_value(content, position, depth)
        values.append(value)
    return values, end


def plain(value: Value) -> Value:
    """The value without its type letters, for reading: a `Typed` gives its inner value, at every depth."""
    if isinstance(value, Typed):
        return value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value
