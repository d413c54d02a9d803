"""The methods of AMQP 0-9-1 with RabbitMQ's extensions, as one table for both ends of the wire.

Source: the specification's chapter 1, amqp0-9-1.extended.xml of RabbitMQ for confirms, nack, blocked, update-secret
and exchange bindings. Letters: o octet, h short, l long, L longlong, s short string, S long string, F table, b bit.
"""

from __future__ import annotations

from struct import error as StructError

from mpcli.errors import ProtocolError
from mpcli.wire.codec import (
    LONG,
    LONGLONG,
    OCTET,
    SHORT,
    decode_longstr,
    decode_shortstr,
    decode_table,
    encode_longstr,
    encode_shortstr,
    encode_table,
)
from mpcli.wire.frames import FRAME_METHOD, encode_frame

_NUMBERS = {"o": OCTET, "h": SHORT, "l": LONG, "L": LONGLONG}
_BY_ID: dict[int, Method] = {}


class Method:
    """One method: its name, its numbers, the letters of its fields.

    Fields are positional, in the specification's order without the reserved ones, which are filled in and
    skipped here (a `-` in front of their letter).
    """

    __slots__ = ("fields", "id", "name", "prefix")

    def __init__(self, name: str, class_id: int, method_id: int, fields: str = "") -> None:
        self.name = name
        self.id = class_id << 16 | method_id
        self.prefix = LONG.pack(self.id)
        self.fields = fields.split()
        _BY_ID[self.id] = self

    def __repr__(self) -> str:
        return f"<Method {self.name}>"

    def encode(self, *values: object) -> bytes:
        """The payload of the method's frame."""
        parts = [self.prefix]
        pending = iter(values)
        bits: list[bool] = []
        for letter in self.fields:
            value = _RESERVED[letter[1]] if letter[0] == "-" else next(pending)
            if letter[-1] == "b":
                bits.append(bool(value))
                continue
            if bits:
                parts.append(_pack_bits(bits))
                bits = []
            parts.append(_encode_field(letter[-1], value))
        if bits:
            parts.append(_pack_bits(bits))
        return b"".join(parts)

    def frame(self, channel: int, *values: object) -> bytes:
        """The method as a whole frame."""
        return encode_frame(FRAME_METHOD, channel, self.encode(*values))

    def decode(self, payload: bytes) -> list[object]:
        """The values behind the method's numbers. Raises `ProtocolError` when they are cut off or not all."""
        values: list[object] = []
        at, bit = 4, 8
        for letter in self.fields:
            kind = letter[-1]
            value: object
            if kind == "b":
                if bit == 8:
                    at, bit = at + 1, 0
                if at > len(payload):
                    raise ProtocolError(f"{self.name} is cut off")
                value = bool(payload[at - 1] >> bit & 1)
                bit += 1
            else:
                bit = 8
                value, at = _decode_field(kind, payload, at)
            if letter[0] != "-":
                values.append(value)
        if at != len(payload):
            raise ProtocolError(f"{self.name} does not end with its last field")
        return values


_RESERVED: dict[str, object] = {"h": 0, "o": 0, "s": "", "S": "", "b": False, "F": {}}


def _pack_bits(bits: list[bool]) -> bytes:
    return OCTET.pack(sum(bit << index for index, bit in enumerate(bits)))


def _encode_field(letter: str, value: object) -> bytes:
    try:
        if letter == "s":
            return encode_shortstr(value)  # type: ignore[arg-type]
        if letter == "S":
            return encode_longstr(value)  # type: ignore[arg-type]
        if letter == "F":
            return encode_table(value)  # type: ignore[arg-type]
        return _NUMBERS[letter].pack(value)
    except StructError as error:
        raise ProtocolError(f"{value!r} does not fit in the field: {error}") from error


def _decode_field(letter: str, payload: bytes, at: int) -> tuple[object, int]:
    if letter == "s":
        return decode_shortstr(payload, at)
    if letter == "S":
        return decode_longstr(payload, at)
    if letter == "F":
        return decode_table(payload, at)
    form = _NUMBERS[letter]
    try:
        return form.unpack_from(payload, at)[0], at + form.size
    except StructError:
        raise ProtocolError("a method is cut off") from None


def decode_method(payload: bytes) -> tuple[Method, list[object]]:
    """The method of a frame and its values. Raises `ProtocolError` for an unknown one."""
    method = method_of(payload)
    return method, method.decode(payload)


def method_of(payload: bytes) -> Method:
    """The method of a frame, its values not looked at."""
    method = _BY_ID.get(int.from_bytes(payload[:4], "big"))
    if method is None:
        raise ProtocolError(f"unknown method {payload[:4].hex()}")
    return method


CONNECTION_START = Method("connection.start", 10, 10, "o o F S S")
CONNECTION_START_OK = Method("connection.start-ok", 10, 11, "F s S s")
CONNECTION_SECURE = Method("connection.secure", 10, 20, "S")
CONNECTION_SECURE_OK = Method("connection.secure-ok", 10, 21, "S")
CONNECTION_TUNE = Method("connection.tune", 10, 30, "h l h")
CONNECTION_TUNE_OK = Method("connection.tune-ok", 10, 31, "h l h")
CONNECTION_OPEN = Method("connection.open", 10, 40, "s -s -b")
CONNECTION_OPEN_OK = Method("connection.open-ok", 10, 41, "-s")
CONNECTION_CLOSE = Method("connection.close", 10, 50, "h s h h")
CONNECTION_CLOSE_OK = Method("connection.close-ok", 10, 51)
CONNECTION_BLOCKED = Method("connection.blocked", 10, 60, "s")
CONNECTION_UNBLOCKED = Method("connection.unblocked", 10, 61)
CONNECTION_UPDATE_SECRET = Method("connection.update-secret", 10, 70, "S s")
CONNECTION_UPDATE_SECRET_OK = Method("connection.update-secret-ok", 10, 71)

CHANNEL_OPEN = Method("channel.open", 20, 10, "-s")
CHANNEL_OPEN_OK = Method("channel.open-ok", 20, 11, "-S")
CHANNEL_FLOW = Method("channel.flow", 20, 20, "b")
CHANNEL_FLOW_OK = Method("channel.flow-ok", 20, 21, "b")
CHANNEL_CLOSE = Method("channel.close", 20, 40, "h s h h")
CHANNEL_CLOSE_OK = Method("channel.close-ok", 20, 41)

# Class access is of AMQP 0-8; RabbitMQ still grants whatever it asks for.
ACCESS_REQUEST = Method("access.request", 30, 10, "s b b b b b")
ACCESS_REQUEST_OK = Method("access.request-ok", 30, 11, "h")
EXCHANGE_DECLARE = Method("exchange.declare", 40, 10, "-h s s b b b b b F")
EXCHANGE_DECLARE_OK = Method("exchange.declare-ok", 40, 11)
EXCHANGE_DELETE = Method("exchange.delete", 40, 20, "-h s b b")
EXCHANGE_DELETE_OK = Method("exchange.delete-ok", 40, 21)
EXCHANGE_BIND = Method("exchange.bind", 40, 30, "-h s s s b F")
EXCHANGE_BIND_OK = Method("exchange.bind-ok", 40, 31)
EXCHANGE_UNBIND = Method("exchange.unbind", 40, 40, "-h s s s b F")
EXCHANGE_UNBIND_OK = Method("exchange.unbind-ok", 40, 51)

QUEUE_DECLARE = Method("queue.declare", 50, 10, "-h s b b b b b F")
QUEUE_DECLARE_OK = Method("queue.declare-ok", 50, 11, "s l l")
QUEUE_BIND = Method("queue.bind", 50, 20, "-h s s s b F")
QUEUE_BIND_OK = Method("queue.bind-ok", 50, 21)
QUEUE_PURGE = Method("queue.purge", 50, 30, "-h s b")
QUEUE_PURGE_OK = Method("queue.purge-ok", 50, 31, "l")
QUEUE_DELETE = Method("queue.delete", 50, 40, "-h s b b b")
QUEUE_DELETE_OK = Method("queue.delete-ok", 50, 41, "l")
QUEUE_UNBIND = Method("queue.unbind", 50, 50, "-h s s s F")
QUEUE_UNBIND_OK = Method("queue.unbind-ok", 50, 51)

BASIC_QOS = Method("basic.qos", 60, 10, "l h b")
BASIC_QOS_OK = Method("basic.qos-ok", 60, 11)
BASIC_CONSUME = Method("basic.consume", 60, 20, "-h s s b b b b F")
BASIC_CONSUME_OK = Method("basic.consume-ok", 60, 21, "s")
BASIC_CANCEL = Method("basic.cancel", 60, 30, "s b")
BASIC_CANCEL_OK = Method("basic.cancel-ok", 60, 31, "s")
BASIC_PUBLISH = Method("basic.publish", 60, 40, "-h s s b b")
BASIC_RETURN = Method("basic.return", 60, 50, "h s s s")
BASIC_DELIVER = Method("basic.deliver", 60, 60, "s L b s s")
BASIC_GET = Method("basic.get", 60, 70, "-h s b")
BASIC_GET_OK = Method("basic.get-ok", 60, 71, "L b s s l")
BASIC_GET_EMPTY = Method("basic.get-empty", 60, 72, "-s")
BASIC_ACK = Method("basic.ack", 60, 80, "L b")
BASIC_REJECT = Method("basic.reject", 60, 90, "L b")
BASIC_RECOVER_ASYNC = Method("basic.recover-async", 60, 100, "b")
BASIC_RECOVER = Method("basic.recover", 60, 110, "b")
BASIC_RECOVER_OK = Method("basic.recover-ok", 60, 111)
BASIC_NACK = Method("basic.nack", 60, 120, "L b b")

CONFIRM_SELECT = Method("confirm.select", 85, 10, "b")
CONFIRM_SELECT_OK = Method("confirm.select-ok", 85, 11)
TX_SELECT = Method("tx.select", 90, 10)
TX_SELECT_OK = Method("tx.select-ok", 90, 11)
TX_COMMIT = Method("tx.commit", 90, 20)
TX_COMMIT_OK = Method("tx.commit-ok", 90, 21)
TX_ROLLBACK = Method("tx.rollback", 90, 30)
TX_ROLLBACK_OK = Method("tx.rollback-ok", 90, 31)
