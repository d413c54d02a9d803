"""Changing a few properties and headers of a message and copying the bytes of all the others.

A table that is decoded and encoded again loses what a mapping cannot hold (a key that stands there twice), and costs
more; so the values are only skipped over, and decoded when they are asked for.
"""

from __future__ import annotations

from collections.abc import KeysView
from operator import itemgetter

from mpcli.wire.codec import (
    LONG,
    SHORT,
    Value,
    decode_shortstr,
    decode_value,
    encode_longstr,
    encode_shortstr,
    encode_value,
)
from mpcli.wire.layout import Place, cut
from mpcli.wire.properties import FLAGS, PROPERTIES, encode_properties

_TEXT = ord("S")
_KINDS = dict(PROPERTIES)
_ORDER = {name: index for index, name in enumerate(_KINDS)}
# From where to where, and what takes the place of it.
Cut = tuple[int, int, bytes]
_PLACE = itemgetter(0, 1)


class Patch:
    """Property bytes, cut into their parts. `set`, `set_header` change some; `encode` puts all together again.

    Setting None takes a property or a header away; a header that is new comes last.
    """

    __slots__ = ("_entries", "_layout", "_parts", "_raw", "_starts", "changed")

    def __init__(self, raw: bytes) -> None:
        """Raises `ProtocolError` when the bytes are no properties."""
        self.changed = False
        self._raw = raw
        self._layout, self._starts = cut(raw)
        # What is other now: the bytes of properties, and of headers with their names; None for one that goes.
        self._parts: dict[str, bytes | None] = {}
        self._entries: dict[str, bytes | None] = {}

    def _at(self, place: Place) -> int:
        return self._starts[place[0]] + place[1]

    def header(self, name: str) -> Value:
        """The decoded value of a header as it came; None when absent."""
        found = self._layout.headers.get(name)
        return None if found is None else decode_value(self._raw, self._at(found[2]))[0]

    def text(self, name: str) -> str:
        """A header that is text; empty for any other."""
        found = self._layout.headers.get(name)
        if found is None or found[0] != _TEXT:
            return ""
        try:
            return self._raw[self._at(found[2]) + 5 : self._at(found[3])].decode()
        except UnicodeDecodeError:
            return ""

    def names(self) -> KeysView[str]:
        """The names of the headers as they came."""
        return self._layout.headers.keys()

    def property(self, name: str) -> object:
        """A property as it is now, other than the headers; None when absent."""
        part = self._parts[name] if name in self._parts else self._part(name)
        if part is None:
            return None
        return decode_shortstr(part, 0)[0] if _KINDS[name] == "s" else int.from_bytes(part, "big")

    def _part(self, name: str) -> bytes | None:
        span = self._layout.properties.get(name)
        return None if span is None else self._raw[self._at(span[0]) : self._at(span[1])]

    def set(self, name: str, value: object) -> None:
        """Change a property other than the headers. Raises `ProtocolError` for a value that it cannot hold."""
        if value is None:
            if (self._parts[name] if name in self._parts else self._layout.properties.get(name)) is None:
                return
            self._parts[name] = None
        elif isinstance(value, str):
            self._parts[name] = encode_shortstr(value)
        else:
            self._parts[name] = encode_properties({name: value})[2:]
        self.changed = True

    def set_header(self, name: str, value: Value, *, remove: bool = False) -> None:
        """Change a header, or take it away: None is a value of its own here."""
        if remove and name not in self._layout.headers:
            self._entries.pop(name, None)
            return
        self._entries[name] = None if remove else encode_shortstr(name) + encode_value(value)
        self.changed = True

    def encode(self) -> bytes:
        """The properties as they are now; the very bytes that came when nothing was changed."""
        if not self.changed:
            return self._raw
        raw, at = self._raw, 0
        parts: list[bytes] = []
        for begin, end, new in sorted(self._cuts(), key=_PLACE):  # those in one place keep their order
            parts += (raw[at:begin], new)
            at = end
        parts.append(raw[at:])
        return b"".join(parts)

    def _cuts(self) -> list[Cut]:
        """What to cut out and put in, properties in their order."""
        properties, flags = self._layout.properties, self._layout.flags
        cuts: list[Cut] = []
        changed: dict[str, bytes | None] = {**self._parts, "headers": b""} if self._entries else self._parts
        for name in sorted(changed, key=_ORDER.__getitem__):
            if name == "headers" and name in properties:
                cuts += self._table_cuts()
                continue
            part = encode_longstr(b"".join(self._added())) if name == "headers" else changed[name]
            flags = flags & ~FLAGS[name] if part is None else flags | FLAGS[name]
            span = properties.get(name)
            gap = self._at(span[0]) if span else self._gap(name)
            cuts.append((gap, self._at(span[1]) if span else gap, part or b""))
        if flags != self._layout.flags:
            cuts.append((0, SHORT.size, SHORT.pack(flags)))
        return cuts

    def _gap(self, name: str) -> int:
        """Where a property belongs that is not there: behind the one that comes before it."""
        before = [span for one, span in self._layout.properties.items() if _ORDER[one] < _ORDER[name]]
        return self._at(before[-1][1]) if before else SHORT.size

    def _added(self) -> list[bytes]:
        return [entry for name, entry in self._entries.items() if entry and name not in self._layout.headers]

    def _table_cuts(self) -> list[Cut]:
        """Each changed header, the new ones at the end, and the length of it all."""
        layout, entries = self._layout, self._entries
        changed = [(header, entry) for name, entry in entries.items() if (header := layout.headers.get(name))]
        changed += [(double, None) for name, double in layout.doubles if name in entries]
        cuts = [(self._at(header[1]), self._at(header[3]), entry or b"") for header, entry in changed]
        begin, end = map(self._at, layout.properties["headers"])
        cuts.append((end, end, b"".join(self._added())))
        grown = sum([at - behind + len(new) for at, behind, new in cuts])
        cuts.append((begin, begin + LONG.size, LONG.pack(end - begin - LONG.size + grown)))
        return cuts
