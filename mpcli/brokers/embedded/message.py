"""A message as it lies in a queue. Its bytes are kept as they came and leave as they came."""

from __future__ import annotations

from mpcli.brokers.embedded.refusal import Refusal
from mpcli.errors import ProtocolError
from mpcli.wire.codec import LONG, SHORT, Table, Value, encode_shortstr
from mpcli.wire.frames import CONTENT_START
from mpcli.wire.properties import Properties, decode_properties, encode_properties
from mpcli.wire.table_check import check_table

# What a message costs beside its bytes, so that a million empty ones reach the memory mark too.
_OVERHEAD = 400
_PROPERTIES_AT = CONTENT_START.size


class Message:
    """`address` is exchange and routing key as two short strings, `header` the content header's payload.

    `extra_keys` are the routing keys of the CC and BCC headers; `ttl` is the message's own time to live in seconds.
    """

    __slots__ = ("address", "body", "exchange", "extra_keys", "header", "key", "persistent", "priority", "size", "ttl")

    def __init__(self, exchange: str, key: str, address: bytes, header: bytes, body: bytes) -> None:
        self.exchange = exchange
        self.key = key
        self.address = address
        self.header = header
        self.body = body
        self.size = len(header) + len(body) + _OVERHEAD
        self.persistent = False
        self.priority = 0
        self.ttl: float | None = None
        self.extra_keys: tuple[str, ...] = ()

    def properties(self) -> Properties:
        """All properties, decoded."""
        return decode_properties(self.header, _PROPERTIES_AT)[0]

    def headers(self) -> Table:
        """The headers, empty when there are none."""
        headers = self.properties().get("headers")
        return headers if isinstance(headers, dict) else {}

    def with_properties(self, properties: Properties) -> Message:
        """The same message under other properties."""
        header = CONTENT_START.pack(60, 0, len(self.body)) + encode_properties(properties)
        changed = Message(self.exchange, self.key, self.address, header, self.body)
        changed.persistent, changed.priority = self.persistent, self.priority
        changed.ttl, changed.extra_keys = self.ttl, self.extra_keys
        return changed

    def with_header(self, name: str, value: Value) -> Message:
        """The same message with one header set. RabbitMQ sorts the table when it changes it."""
        properties = self.properties()
        properties["headers"] = dict(sorted({**self.headers(), name: value}.items()))
        return self.with_properties(properties)


def address_of(exchange: str, key: str) -> bytes:
    """Exchange and routing key as they stand in publish, deliver and return."""
    return encode_shortstr(exchange) + encode_shortstr(key)


class Facts:
    """The properties that a broker acts on."""

    __slots__ = (
        "delivery_mode",
        "expiration",
        "headers_at",
        "headers_end",
        "priority",
        "reply_to",
        "reply_to_at",
        "user_id",
    )

    @property
    def unusual(self) -> bool:
        """Whether there is more to check or to do than for most."""
        return bool(self.reply_to) or self.expiration is not None or self.user_id is not None

    def __init__(self) -> None:
        self.delivery_mode = 1
        self.priority = 0
        self.headers_at = 0
        self.headers_end = 0
        self.reply_to = b""
        self.reply_to_at = 0
        self.expiration: bytes | None = None
        self.user_id: bytes | None = None


def scan(header: bytes) -> Facts:  # noqa: C901, PLR0912 - one step for each property, unrolled: it runs for each publish
    """Walk over a content header's payload. Raises `Refusal` when the flags and the bytes don't fit together."""
    facts = Facts()
    at = _PROPERTIES_AT + 2
    try:
        (flags,) = SHORT.unpack_from(header, _PROPERTIES_AT)
        if flags & 0x8000:
            at += 1 + header[at]
        if flags & 0x4000:
            at += 1 + header[at]
        if flags & 0x2000:
            facts.headers_at = at
            at += 4 + LONG.unpack_from(header, at)[0]
            facts.headers_end = at
        if flags & 0x1000:
            facts.delivery_mode = header[at]
            at += 1
        if flags & 0x0800:
            facts.priority = header[at]
            at += 1
        if flags & 0x0400:
            at += 1 + header[at]
        if flags & 0x0200:
            facts.reply_to_at, at = at, at + 1 + header[at]
            facts.reply_to = header[facts.reply_to_at + 1 : at]
        if flags & 0x0100:
            start, at = at + 1, at + 1 + header[at]
            facts.expiration = header[start:at]
        if flags & 0x0080:
            at += 1 + header[at]
        if flags & 0x0040:
            at += 8
        if flags & 0x0020:
            at += 1 + header[at]
        if flags & 0x0010:
            start, at = at + 1, at + 1 + header[at]
            facts.user_id = header[start:at]
        if flags & 0x0008:
            at += 1 + header[at]
        if flags & 0x0004:
            at += 1 + header[at]
    except Exception as error:
        raise Refusal("INTERNAL_ERROR", "cannot decode the content header", 0) from error
    if at != len(header) or flags & 0b11:
        raise Refusal("INTERNAL_ERROR", "cannot decode the content header", 0)
    if facts.headers_at:
        _check_headers(header, facts.headers_at)
    return facts


def _check_headers(header: bytes, at: int) -> None:
    # A broken table must not reach a consumer, whose client would close its connection over it.
    try:
        check_table(header, at)
    except ProtocolError as error:
        raise Refusal("INTERNAL_ERROR", f"cannot decode the headers: {error.message}", 0) from error


class Entry:
    """A message's place in one queue.

    `position` orders the queue and is the journal's key; `expires` is in seconds of the wall clock, 0 for never;
    `count` is how often it was handed out and came back; `stored` says that the journal knows it.
    """

    __slots__ = ("count", "expires", "message", "position", "stored")

    def __init__(self, message: Message, position: int, expires: float = 0.0, count: int = 0) -> None:
        self.message = message
        self.position = position
        self.expires = expires
        self.count = count
        self.stored = False
