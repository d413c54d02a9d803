"""A publish: gathered from its frames, checked, and given to the channel."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.arguments import parse_expiration
from mpcli.brokers.embedded.broker import REPLY_TO
from mpcli.brokers.embedded.message import Facts, Message, scan
from mpcli.brokers.embedded.refusal import Refusal, as_binary, not_found, precondition, type_name
from mpcli.wire.codec import encode_shortstr
from mpcli.wire.methods import BASIC_PUBLISH

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel

_CONTENT_START = Struct(">HHQ")
_BASIC = 60
_MANDATORY, _IMMEDIATE = 1, 2
_REPLY_TO = REPLY_TO.encode()


class Assembly:
    """What has come of a publish so far."""

    __slots__ = ("address", "body", "exchange", "flags", "header", "key", "limit", "missing", "size", "so_far")

    def __init__(self, method: bytes, limit: int) -> None:
        self.exchange, self.key, self.address, self.flags = _address(method)
        self.limit = limit
        self.size = 0
        self.header = b""
        self.body = b""
        self.missing = 0
        # One piece of memory, for a client may send its body two bytes at a time.
        self.so_far = bytearray()

    def header_came(self, payload: bytes) -> bool:
        """Take the content header. True when the message is whole, for it may have no body."""
        if self.header:
            raise self.unexpected()
        if len(payload) < _CONTENT_START.size + 2:
            raise Refusal("INTERNAL_ERROR", "the content header is cut off", 0)
        kind, weight, self.size = _CONTENT_START.unpack_from(payload)
        self.missing = self.size
        if weight:
            raise self.unexpected()
        if kind != _BASIC:
            raise Refusal(
                "UNEXPECTED_FRAME",
                f"expected content header for class {_BASIC}, got one for class {kind} instead",
                BASIC_PUBLISH.id,
            )
        self.header = payload
        return not self.missing

    def body_came(self, payload: bytes) -> bool:
        """Take a part of the body. True when it was the last one."""
        if not self.header:
            raise self.unexpected()
        self.missing -= len(payload)
        if self.missing > 0:
            # What will be refused is not kept.
            if self.size <= self.limit:
                self.so_far += payload
            return False
        if self.missing < 0:
            raise Refusal("UNEXPECTED_FRAME", "the body is longer than its header says", BASIC_PUBLISH.id)
        self.body = bytes(self.so_far + payload) if self.so_far else payload
        return True

    def unexpected(self) -> Refusal:
        """The frame that came is not the one that must come now."""
        if self.header:
            return Refusal(
                "UNEXPECTED_FRAME", "expected content body, got non content body frame instead", BASIC_PUBLISH.id
            )
        return Refusal(
            "UNEXPECTED_FRAME",
            f"expected content header for class {_BASIC}, got non content header frame instead",
            BASIC_PUBLISH.id,
        )


def publish(channel: Channel, assembly: Assembly) -> None:
    """Check the whole message and hand it to the channel. Raises `Refusal` as RabbitMQ does, in its order."""
    try:
        _publish(channel, assembly)
    except Refusal as refusal:
        if refusal.method is None:
            refusal.method = BASIC_PUBLISH.id
        raise


def _publish(channel: Channel, assembly: Assembly) -> None:
    if assembly.flags & _IMMEDIATE:
        raise Refusal("NOT_IMPLEMENTED", "immediate=true")
    if assembly.size > assembly.limit:
        raise precondition(f"message size {assembly.size} is larger than configured max size {assembly.limit}")
    exchange = channel.vhost.exchanges.get(assembly.exchange)
    if exchange is None:
        raise not_found("exchange", assembly.exchange, channel.vhost.name)
    if exchange.internal:
        raise Refusal(
            "ACCESS_REFUSED",
            f"cannot publish to internal exchange '{exchange.name}' in vhost '{channel.vhost.name}'",
        )
    facts = scan(assembly.header)
    message = Message(assembly.exchange, assembly.key, assembly.address, assembly.header, assembly.body)
    if facts.unusual:
        _act_on(facts, channel, message)
    if facts.headers_at and (b"\x02CC" in message.header or b"\x03BCC" in message.header):
        message = _with_extra_keys(message)
    if facts.delivery_mode not in (1, 2):
        raise precondition(f"invalid message: {{delivery_mode_unknown,{facts.delivery_mode}}}")
    message.persistent = facts.delivery_mode == 2
    message.priority = facts.priority
    mandatory = bool(assembly.flags & _MANDATORY)
    targets = channel.vhost.route(exchange, message)
    if channel.tx is not None:
        channel.tx.append(("publish", (message, mandatory, targets)))
    else:
        channel.publish(message, mandatory, targets)
    if channel.broker.full:
        channel.connection.block()


def _address(method: bytes) -> tuple[str, str, bytes, int]:
    """Exchange, routing key, both as they came, and the flags. The method's numbers and a reserved short go first."""
    try:
        middle = 7 + method[6]
        end = middle + 1 + method[middle]
        exchange = str(method[7:middle], "utf-8", "surrogateescape")
        if len(method) != end + 1:
            raise Refusal("FRAME_ERROR", f"cannot decode {as_binary(method[4:])}")
        return exchange, str(method[middle + 1 : end], "utf-8", "surrogateescape"), method[6:end], method[end]
    except IndexError as error:
        raise Refusal("FRAME_ERROR", f"cannot decode {as_binary(method[4:])}") from error


def _act_on(facts: Facts, channel: Channel, message: Message) -> None:
    if facts.reply_to == _REPLY_TO:
        if not channel.reply_key:
            raise precondition("fast reply consumer does not exist")
        header, at = message.header, facts.reply_to_at
        message.header = header[:at] + encode_shortstr(channel.reply_key) + header[at + 1 + len(_REPLY_TO) :]
    if facts.user_id is not None:
        claimed, user = facts.user_id.decode("utf-8", "surrogateescape"), channel.connection.user
        if claimed != user:
            raise precondition(f"user_id property set to '{claimed}' but authenticated user was '{user}'")
    if facts.expiration is not None:
        message.ttl = parse_expiration(facts.expiration) / 1000


def _with_extra_keys(message: Message) -> Message:
    headers = message.headers()
    keys: list[str] = []
    for name in ("CC", "BCC"):
        values = headers.get(name)
        if name not in headers:
            continue
        if not isinstance(values, list):
            raise precondition(f'invalid message: {{unacceptable_type_in_header,"{name}",{type_name(values)}}}')
        keys += [value for value in values if isinstance(value, str)]
    if "BCC" in headers:
        properties = message.properties()
        properties["headers"] = {name: value for name, value in headers.items() if name != "BCC"}
        message = message.with_properties(properties)
    message.extra_keys = tuple(keys)
    return message
