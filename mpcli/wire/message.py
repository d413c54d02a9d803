"""One AMQP message as it was on the wire: its properties stay the bytes that came, decoded only to be looked at.

Copying the bytes is what makes a recording and a replay exact: integer widths, floats, decimals, timestamps, even
property values that no table of ours knows, go out as they came in.
"""

from __future__ import annotations

from mpcli.wire.codec import Table, Typed, Value
from mpcli.wire.frames import encode_content
from mpcli.wire.methods import BASIC_PUBLISH
from mpcli.wire.properties import Properties, decode_properties, encode_properties

# What RabbitMQ's client guides call the field types; for people, where two values differ in nothing else.
TYPE_NAMES = {
    "b": "int8",
    "B": "uint8",
    "s": "int16",
    "u": "uint16",
    "I": "int32",
    "i": "uint32",
    "l": "int64",
    "f": "float",
    "d": "double",
    "T": "timestamp",
    "D": "decimal",
    "S": "string",
    "x": "bytes",
    "t": "bool",
}
_INT32 = range(-(2**31), 2**31)


class Message:
    """Where it went, its property bytes (flags and values, as in a content header), its body bytes.

    `redelivered` and `delivery_tag` belong to one delivery and are no part of the message's identity.
    """

    __slots__ = ("_decoded", "body", "delivery_tag", "exchange", "raw_properties", "redelivered", "routing_key")

    def __init__(
        self,
        exchange: str,
        routing_key: str,
        raw_properties: bytes,
        body: bytes,
        redelivered: bool = False,
        delivery_tag: int = 0,
    ) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.raw_properties = raw_properties
        self.body = body
        self.redelivered = redelivered
        self.delivery_tag = delivery_tag
        self._decoded: Properties | None = None

    @classmethod
    def build(cls, exchange: str, routing_key: str, properties: Properties, body: bytes) -> Message:
        """A new message. Raises `ProtocolError` for a property that AMQP cannot hold."""
        return cls(exchange, routing_key, encode_properties(properties), body)

    @property
    def properties(self) -> Properties:
        """The decoded properties; not to be changed. Raises `ProtocolError` when the bytes cannot be read."""
        if self._decoded is None:
            self._decoded, _ = decode_properties(self.raw_properties)
        return self._decoded

    @property
    def headers(self) -> Table:
        """The decoded headers, empty when there are none; not to be changed."""
        headers = self.properties.get("headers")
        return headers if isinstance(headers, dict) else {}

    def changed(self, *, exchange: str | None = None, routing_key: str | None = None, **properties: object) -> Message:
        """A copy with other properties (None takes one away); without any, their bytes are copied as they are."""
        raw = encode_properties({**self.properties, **properties}) if properties else self.raw_properties
        return Message(
            self.exchange if exchange is None else exchange,
            self.routing_key if routing_key is None else routing_key,
            raw,
            self.body,
        )

    def publish_frames(self, channel: int, frame_max: int, mandatory: bool = True) -> bytes:
        """What publishes it to its exchange: method, header and body frames; `frame_max` in bytes, 0 for no limit."""
        return BASIC_PUBLISH.frame(channel, self.exchange, self.routing_key, mandatory, False) + encode_content(
            channel, self.raw_properties, self.body, frame_max
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<Message {self.exchange!r} {self.routing_key!r}, {len(self.body)} bytes>"

    def _identity(self) -> tuple[str, str, bytes, bytes]:
        return self.exchange, self.routing_key, self.raw_properties, self.body


def type_name(value: Value) -> str:
    """The AMQP type of a field value, as people call it."""
    if isinstance(value, Typed):
        return TYPE_NAMES.get(value.tag, value.tag)
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int32" if value in _INT32 else "int64"
    names = {str: "string", float: "double", bytes: "bytes", dict: "table", list: "array", type(None): "null"}
    return names.get(type(value), type(value).__name__)
