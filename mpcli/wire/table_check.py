"""Whether bytes are a table, told by a walk over its lengths: for whoever hands it on and does not look inside."""

from __future__ import annotations

from struct import error as StructError

from mpcli.errors import ProtocolError
from mpcli.wire.codec import LONG, MAX_DEPTH, WIDTHS


def check_table(data: bytes, at: int = 0) -> int:
    """The position behind the table at `at`. Raises `ProtocolError` where `decode_table` does, in a tenth of its time.

    For whoever hands a table on and must only know that the next one will be able to read it.
    """
    try:
        start = at + LONG.size
        end: int = start + LONG.unpack_from(data, at)[0]
        if end > len(data):
            raise ProtocolError("a long string is cut off")
        _check_fields(data, start, end, _TABLE, 0)
    except (StructError, IndexError):
        raise ProtocolError("a table is cut off") from None
    return end


# The width of a field's bytes by its letter, or how to find it out: a list is quicker than a mapping.
_LONG_STRING, _TABLE, _ARRAY, _UNKNOWN = -1, -2, -3, -4
_HOW = WIDTHS | {ord("S"): _LONG_STRING, ord("x"): _LONG_STRING, ord("F"): _TABLE, ord("A"): _ARRAY}
_WIDTHS = [_HOW.get(letter, _UNKNOWN) for letter in range(256)]


def _check_fields(data: bytes, at: int, end: int, kind: int, depth: int) -> None:
    if at < end and depth > MAX_DEPTH:
        raise ProtocolError(f"tables nested deeper than {MAX_DEPTH}")
    while at < end:
        if kind == _TABLE:
            at += 1 + data[at]
        width = _WIDTHS[data[at]]
        at += 1
        if width >= 0:
            at += width
        elif width == _UNKNOWN:
            raise ProtocolError(f"unknown AMQP field type {chr(data[at - 1])!r}")
        else:
            inside = at + LONG.size
            at = inside + LONG.unpack_from(data, at)[0]
            if width != _LONG_STRING and at <= end:
                _check_fields(data, inside, at, width, depth + 1)
    if at != end:
        raise ProtocolError("a field of a table is cut off")
