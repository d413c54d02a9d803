"""Where everything stands in the property bytes of a message: the order of its properties and headers, and their types.

A sender repeats itself: message after message has the same names and types in the same order, and only lengths and
values differ. So a layout is read once, field by field, and held against the messages that follow: what stands between
two values must be the same bytes, which takes a quarter of the time of reading all anew.
"""

from __future__ import annotations

from struct import error as StructError

from mpcli.errors import ProtocolError
from mpcli.wire.codec import LONG, SHORT, WIDTHS
from mpcli.wire.properties import FLAGS, PROPERTIES

# A place relative to the starts of a message: which start, bytes behind it; of a header its begin, value and end.
Place = tuple[int, int]
Header = tuple[int, Place, Place, Place]  # with the letter of its type in front
Starts = list[int]

# Bytes behind the type letter; -4 where they begin with their length in four bytes.
_SIZES = WIDTHS | dict.fromkeys(b"SxFA", -4)
_WIDTHS = {"s": -1, "o": 1, "T": 8}
_length = LONG.unpack_from
# More than the senders of a platform have; hostile ones must not fill our memory.
_MOST = 4
_recent: list[Layout] = []


def cut(raw: bytes) -> tuple[Layout, Starts]:
    """How these property bytes are laid out, and where its parts start in them. Raises `ProtocolError` for others."""
    for index, layout in enumerate(_recent):
        starts = layout.starts(raw)
        if starts is not None:
            if index:
                _recent.insert(0, _recent.pop(index))
            return layout, starts
    try:
        layout = Layout(raw)
    except (IndexError, StructError):
        raise ProtocolError("a content header is cut off") from None
    starts = layout.starts(raw)
    assert starts is not None
    _recent.insert(0, layout)
    del _recent[_MOST:]
    return layout, starts


class Layout:
    """Steps through property bytes: bytes that are always the same, then a value. `properties` and `headers` by name;
    `doubles` are headers whose name stands there again later."""

    __slots__ = ("_begin", "_steps", "_tail", "doubles", "flags", "headers", "properties")

    def __init__(self, raw: bytes) -> None:
        """Raises `ProtocolError`, `IndexError` or `StructError` when the bytes are no properties."""
        self.properties: dict[str, tuple[Place, Place]] = {}
        self.headers: dict[str, Header] = {}
        self.doubles: list[tuple[str, Header]] = []
        self._steps: list[tuple[bytes, int, int]] = []
        self._begin = 0
        (self.flags,) = SHORT.unpack_from(raw, 0)
        if self.flags & 0b11:
            raise ProtocolError("unknown property flags in a content header")
        at = SHORT.size
        for name, kind in PROPERTIES:
            if self.flags & FLAGS[name]:
                begin = self._place(at)
                at = self._table(raw, at) if kind == "F" else self._value(raw, at, _WIDTHS[kind])
                self.properties[name] = (begin, self._place(at))
        self._tail = raw[self._begin : at]

    def _place(self, at: int) -> Place:
        return len(self._steps), at - self._begin

    def _value(self, raw: bytes, at: int, width: int) -> int:
        """Step over a value, to the position behind it."""
        end = at + width
        if width < 0:
            end = at + 1 + raw[at] if width == -1 else at + 4 + _length(raw, at)[0]
        if end > len(raw):
            raise ProtocolError("a content header is cut off")
        if width:
            self._steps.append((raw[self._begin : at], at - self._begin, width))
            self._begin = end
        return end

    def _table(self, raw: bytes, at: int) -> int:
        end: int = at + LONG.size + _length(raw, at)[0]
        at = self._value(raw, at, LONG.size)
        while at < end:
            begin = self._place(at)
            value = at + 1 + raw[at]
            name, tag = str(raw[at + 1 : value], "utf-8", "surrogateescape"), raw[value]
            width = _SIZES.get(tag)
            if width is None:
                raise ProtocolError(f"unknown AMQP field type {chr(tag)!r}")
            place = self._place(value)
            at = self._value(raw, value + 1, width)
            if name in self.headers:  # the last one is what a worker sees
                self.doubles.append((name, self.headers[name]))
            self.headers[name] = (tag, begin, place, self._place(at))
        if at != end:
            raise ProtocolError("a table is cut off")
        return end

    def starts(self, raw: bytes) -> Starts | None:
        """Where each step starts in these bytes; None when they are laid out in another way."""
        at, starts = 0, []
        try:
            for same, size, width in self._steps:
                if not raw.startswith(same, at):
                    return None
                starts.append(at)
                at += size
                if width >= 0:
                    at += width
                elif width == -1:
                    at += 1 + raw[at]
                else:
                    at += 4 + _length(raw, at)[0]
        except (IndexError, StructError):
            return None
        if not raw.startswith(self._tail, at):
            return None
        starts.append(at)
        return starts if self._is_table(raw, starts) else None

    def _is_table(self, raw: bytes, starts: Starts) -> bool:
        """Whether the headers end where their table says."""
        span = self.properties.get("headers")
        if span is None:
            return True
        (one, begin), (other, end) = span
        begin, end = starts[one] + begin, starts[other] + end
        return bool(begin + LONG.size + _length(raw, begin)[0] == end)
