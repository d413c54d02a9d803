"""Methods and messages put together from the frames of a connection."""

from __future__ import annotations

from mpcli.errors import ProtocolError
from mpcli.wire.frames import CONTENT_START, FRAME_BODY, FRAME_HEADER, FRAME_METHOD
from mpcli.wire.methods import BASIC_DELIVER, BASIC_GET_OK, BASIC_RETURN, Method, method_of
from mpcli.wire.properties import Properties, decode_properties
from mpcli.wire.url import BrokerUrl

_WITH_CONTENT = frozenset({BASIC_DELIVER.id, BASIC_RETURN.id, BASIC_GET_OK.id})


class Incoming:
    """One method from the broker and, where it carries a message, that message as it stood on the wire."""

    __slots__ = ("body", "channel", "header", "method", "values")

    def __init__(self, channel: int, method: Method, values: list[object]) -> None:
        self.channel = channel
        self.method = method
        self.values = values
        # The properties as encoded: flags and values, without class and body size.
        self.header = b""
        self.body = b""

    @property
    def properties(self) -> Properties:
        """The message's properties, decoded anew at each use."""
        return decode_properties(self.header)[0]

    def __repr__(self) -> str:
        return f"<Incoming {self.method.name} {self.values!r} on channel {self.channel}>"


class Assembly:
    """What is still arriving on the channels of one connection to `url`."""

    __slots__ = ("_partial", "_url")

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        # By channel: what carries the message, bytes missing, parts.
        self._partial: dict[int, tuple[Incoming, int, list[bytes]]] = {}

    def feed(self, kind: int, channel: int, payload: bytes) -> Incoming | None:
        """What this frame completes. Raises `ProtocolError` when it does not fit those before."""
        if kind == FRAME_METHOD:
            return self._take_method(channel, payload)
        if kind == FRAME_HEADER:
            return self._take_header(channel, payload)
        if kind == FRAME_BODY:
            return self._take_body(channel, payload)
        return None

    def drop(self, channel: int) -> None:
        """The channel was closed: what was arriving on it will not end."""
        self._partial.pop(channel, None)

    def _take_method(self, channel: int, payload: bytes) -> Incoming | None:
        method = method_of(payload)
        incoming = Incoming(channel, method, method.decode(payload))
        if method.id not in _WITH_CONTENT:
            return incoming
        self._partial[channel] = (incoming, -1, [])
        return None

    def _take_header(self, channel: int, payload: bytes) -> Incoming | None:
        if channel not in self._partial or len(payload) < CONTENT_START.size:
            raise ProtocolError(f"the broker at {self._url.address} sent a content header that nothing announced")
        incoming, _, parts = self._partial[channel]
        size = CONTENT_START.unpack_from(payload)[2]
        incoming.header = payload[CONTENT_START.size :]
        return self._finished(channel, incoming, size, parts)

    def _take_body(self, channel: int, payload: bytes) -> Incoming | None:
        incoming, missing, parts = self._partial.get(channel, (None, -1, []))
        if incoming is None or missing < len(payload):
            raise ProtocolError(f"the broker at {self._url.address} sent more of a message than it announced")
        parts.append(payload)
        return self._finished(channel, incoming, missing - len(payload), parts)

    def _finished(self, channel: int, incoming: Incoming, missing: int, parts: list[bytes]) -> Incoming | None:
        if missing:
            self._partial[channel] = (incoming, missing, parts)
            return None
        incoming.body = parts[0] if len(parts) == 1 else b"".join(parts)
        del self._partial[channel]
        return incoming
