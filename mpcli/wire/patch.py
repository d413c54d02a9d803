"""Changing a few properties and headers of a message and copying the bytes of all the others.

A table that is decoded and encoded again loses what a mapping cannot hold (a key that stands there twice), and costs
more; so the values are only skipped over, and decoded when they are asked for.
"""

from __future__ import annotations

from collections.abc import KeysView
from struct import error as StructError

from mpcli.errors import ProtocolError
from mpcli.wire.codec import (
    LONG,
    PROPERTIES,
    SHORT,
    Value,
    decode_shortstr,
    decode_value,
    encode_longstr,
    encode_properties,
    encode_shortstr,
    encode_value,
)

# Bytes behind the type letter; the others begin with their length in four bytes.
_SIZES = {
    **dict.fromkeys(b"bBt", 1),
    **dict.fromkeys(b"su", 2),
    **dict.fromkeys(b"Iif", 4),
    **dict.fromkeys(b"lLdT", 8),
    ord("D"): 5,
    ord("V"): 0,
}
_LONG = frozenset(b"SxFA")
_TEXT = ord("S")
_PLACES = tuple((name, kind, 1 << (15 - index)) for index, (name, kind) in enumerate(PROPERTIES))
_WIDTHS = {"o": 1, "T": 8}


class Patch:
    """Property bytes, cut into their parts. `set`, `set_header` change some; `encode` puts all together again.

    Setting None takes a property or a header away; a header that is new comes last.
    """

    __slots__ = ("_doubles", "_headers", "_parts", "_raw", "_spans", "_table_at", "changed")

    def __init__(self, raw: bytes) -> None:
        """Raises `ProtocolError` when the bytes are no properties."""
        self.changed = False
        self._raw = raw
        # Of each property that is there, its bytes; of each header the whole entry and where its value begins.
        self._parts: dict[str, bytes] = {}
        self._spans: dict[str, tuple[int, int, int]] = {}
        self._doubles: list[tuple[str, int, int, int]] = []
        self._table_at = (0, 0)
        self._headers: dict[str, bytes | None] = {}
        try:
            self._cut(raw)
        except (IndexError, StructError):
            raise ProtocolError("a content header is cut off") from None

    def _cut(self, raw: bytes) -> None:
        (flags,) = SHORT.unpack_from(raw, 0)
        if flags & 0b11:
            raise ProtocolError("unknown property flags in a content header")
        at, size = 2, len(raw)
        for name, kind, flag in _PLACES:
            if not flags & flag:
                continue
            if kind == "s":
                end = at + 1 + raw[at]
            elif kind == "F":
                end = at + 4 + LONG.unpack_from(raw, at)[0]
            else:
                end = at + _WIDTHS[kind]
            if end > size:
                raise ProtocolError("a content header is cut off")
            self._parts[name] = raw[at:end]
            if kind == "F":
                self._table_at = (at + 4, end)
                self._scan(raw, at + 4, end)
            at = end

    def _scan(self, raw: bytes, at: int, end: int) -> None:
        spans, sizes = self._spans, _SIZES
        while at < end:
            begin = at
            at += 1 + raw[at]
            value = at
            name = str(raw[begin + 1 : at], "utf-8", "surrogateescape")
            tag = raw[at]
            width = sizes.get(tag)
            if width is not None:
                at += 1 + width
            elif tag in _LONG:
                at += 5 + LONG.unpack_from(raw, at + 1)[0]
            else:
                raise ProtocolError(f"unknown AMQP field type {chr(tag)!r}")
            if name in spans:  # the last one is what a worker sees
                self._doubles.append((name, *spans[name]))
            spans[name] = (begin, value, at)
        if at != end:
            raise ProtocolError("a table is cut off")

    def header(self, name: str) -> Value:
        """The decoded value of a header as it came; None when absent."""
        span = self._spans.get(name)
        return None if span is None else decode_value(self._raw, span[1])[0]

    def text(self, name: str) -> str:
        """A header that is text; empty for any other."""
        span = self._spans.get(name)
        if span is None or self._raw[span[1]] != _TEXT:
            return ""
        try:
            return self._raw[span[1] + 5 : span[2]].decode()
        except UnicodeDecodeError:
            return ""

    def names(self) -> KeysView[str]:
        """The names of the headers as they came."""
        return self._spans.keys()

    def property(self, name: str) -> object:
        """A property as it is now, other than the headers; None when absent."""
        part = self._parts.get(name)
        if part is None:
            return None
        kind = next(kind for one, kind, _ in _PLACES if one == name)
        return decode_shortstr(part, 0)[0] if kind == "s" else int.from_bytes(part, "big")

    def set(self, name: str, value: object) -> None:
        """Change a property other than the headers. Raises `ProtocolError` for a value that it cannot hold."""
        if value is None:
            if self._parts.pop(name, None) is None:
                return
        elif isinstance(value, str):
            self._parts[name] = encode_shortstr(value)
        else:
            self._parts[name] = encode_properties({name: value})[2:]
        self.changed = True

    def set_header(self, name: str, value: Value, *, remove: bool = False) -> None:
        """Change a header, or take it away: None is a value of its own here."""
        if remove and name not in self._spans:
            self._headers.pop(name, None)
            return
        self._headers[name] = None if remove else encode_shortstr(name) + encode_value(value)
        self.changed = True

    def encode(self) -> bytes:
        """The properties as they are now; the very bytes that came when nothing was changed."""
        if not self.changed:
            return self._raw
        source = {**self._parts, "headers": encode_longstr(self._table())} if self._headers else self._parts
        flags, parts = 0, []
        for name, _, flag in _PLACES:
            part = source.get(name)
            if part is not None:
                flags |= flag
                parts.append(part)
        return SHORT.pack(flags) + b"".join(parts)

    def _table(self) -> bytes:
        """The headers between their changes, copied in as few pieces as possible."""
        raw, spans = self._raw, self._spans
        parts: list[bytes] = []
        cuts = [(*spans[name], entry) for name, entry in self._headers.items() if name in spans]
        cuts += [(begin, value, behind, None) for name, begin, value, behind in self._doubles if name in self._headers]
        at, end = self._table_at
        for begin, _, behind, entry in sorted(cuts, key=lambda cut: cut[0]):
            parts.append(raw[at:begin])
            if entry is not None:
                parts.append(entry)
            at = behind
        parts.append(raw[at:end])
        parts += [entry for name, entry in self._headers.items() if entry is not None and name not in spans]
        return b"".join(parts)
