"""The fast path of a consumer: the frames of one connection become messages, and nothing of them is decoded.

Only the route of a message is read, once for each route, because its bytes in `basic.deliver` repeat.
"""

from __future__ import annotations

from mpcli.errors import ProtocolError
from mpcli.wire.codec import LONGLONG, decode_shortstr
from mpcli.wire.frames import (
    CONTENT_START,
    FRAME_BODY,
    FRAME_HEADER,
    FRAME_HEARTBEAT,
    FRAME_METHOD,
    Frame,
    FrameSplitter,
)
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_DELIVER

_DELIVER = BASIC_DELIVER.prefix
_SIZE = CONTENT_START.size
# A sender of random routing keys must not fill our memory.
_MAX_ROUTES = 4096


class Deliveries:
    """Feed it what the socket gives. Deliveries of `channel` come back as messages, other methods as frames in
    `others`, in their order; the caller takes them out."""

    __slots__ = ("_head", "_missing", "_parts", "_raw", "_routes", "_splitter", "channel", "others")

    def __init__(self, splitter: FrameSplitter, channel: int = 1) -> None:
        self.channel = channel
        self.others: list[Frame] = []
        self._splitter = splitter
        self._routes: dict[bytes, tuple[str, str]] = {}
        # The message that is arriving: its deliver method, its properties, the parts so far.
        self._head: bytes | None = None
        self._raw: bytes | None = None
        self._missing = 0
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises `ProtocolError` when it is not AMQP."""
        done: list[Message] = []
        for frame in self._splitter.feed(data):
            kind, channel, payload = frame
            if kind == FRAME_METHOD:
                if payload[:4] == _DELIVER and channel == self.channel:
                    self._head, self._raw = payload, None
                else:
                    self.others.append(frame)
            elif channel != self.channel or kind == FRAME_HEARTBEAT:
                continue
            elif kind == FRAME_HEADER:
                self._take_header(payload)
                if not self._missing:
                    done.append(self._message(b""))
            elif kind == FRAME_BODY:
                if len(payload) == self._missing and not self._parts:
                    done.append(self._message(payload))
                elif self._take_part(payload):
                    done.append(self._message(b"".join(self._parts)))
        return done

    def _take_header(self, payload: bytes) -> None:
        if self._head is None or self._raw is not None or len(payload) < _SIZE:
            raise ProtocolError("a content header that nothing announced")
        self._missing = int.from_bytes(payload[4:12], "big")
        self._raw = payload[_SIZE:]
        self._parts = []

    def _take_part(self, payload: bytes) -> bool:
        if self._raw is None or len(payload) > self._missing:
            raise ProtocolError("more of a message than was announced")
        self._parts.append(payload)
        self._missing -= len(payload)
        return self._missing == 0

    def _message(self, body: bytes) -> Message:
        head, raw = self._head, self._raw
        if head is None or raw is None:
            raise ProtocolError("a message that nothing announced")
        self._head = self._raw = None
        self._missing = 0
        at = 5 + head[4]  # behind the consumer tag: delivery tag, redelivered, exchange, routing key
        routes = self._routes
        place = head[at + 9 :]
        route = routes.get(place)
        if route is None:
            if len(routes) >= _MAX_ROUTES:
                routes.clear()
            exchange, end = decode_shortstr(place, 0)
            routing_key, _ = decode_shortstr(place, end)
            route = routes[place] = (exchange, routing_key)
        (tag,) = LONGLONG.unpack_from(head, at)
        return Message(route[0], route[1], raw, body, head[at + 8] == 1, tag)
