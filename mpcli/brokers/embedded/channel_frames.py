"""What a client sends on a channel: its open and close, its methods, the frames of its publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpcli.brokers.embedded import publishing
from mpcli.brokers.embedded.channel import Channel
from mpcli.brokers.embedded.methods import HANDLERS
from mpcli.brokers.embedded.odd_frames import NO_METHOD, known, strange_frame
from mpcli.brokers.embedded.refusal import Refusal, as_binary
from mpcli.errors import ProtocolError
from mpcli.wire.frames import FRAME_BODY, FRAME_HEADER, FRAME_METHOD
from mpcli.wire.methods import BASIC_PUBLISH, CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CHANNEL_OPEN, CHANNEL_OPEN_OK
from mpcli.words import counted

if TYPE_CHECKING:
    from mpcli.brokers.embedded.connection import Connection


def channel_frame(connection: Connection, kind: int, number: int, payload: bytes) -> None:
    """Carry out a frame that came on a channel. Raises `Refusal` when it ends the connection."""
    channel = connection.channels.get(number)
    if channel is None:
        _open_channel(connection, kind, number, payload)
        return
    try:
        if number in connection.assembling:
            _content_frame(connection, channel, kind, payload)
        elif kind != FRAME_METHOD or len(payload) < 4:
            raise strange_frame(kind, payload, on_channel=True)
        elif payload.startswith(BASIC_PUBLISH.prefix):
            connection.assembling[number] = publishing.Assembly(payload, connection.broker.limits.message)
        elif channel.closing:
            _on_closing_channel(connection, channel, payload)
        else:
            _channel_method(connection, channel, payload)
    except Refusal as refusal:
        method = int.from_bytes(payload[:4], "big") if refusal.method is None else refusal.method
        if refusal.hard:
            refusal.method = method
            raise
        channel.refuse(refusal, method)


def _content_frame(connection: Connection, channel: Channel, kind: int, payload: bytes) -> None:
    assembly = connection.assembling[channel.number]
    if kind == FRAME_HEADER:
        whole = assembly.header_came(payload)
    elif kind == FRAME_BODY:
        whole = assembly.body_came(payload)
    else:
        raise assembly.unexpected()
    if whole:
        del connection.assembling[channel.number]
        connection.unfinished -= len(assembly.so_far)
        if not channel.closing:
            publishing.publish(channel, assembly)
    elif assembly.so_far:
        connection.unfinished += len(payload)
        _check_unfinished(connection)


def _check_unfinished(connection: Connection) -> None:
    # They don't count for the memory mark: a publisher that waits there could not finish what nobody can take yet.
    most = connection.broker.limits.memory + connection.broker.limits.message
    if connection.unfinished > most:
        text = f"what is not whole yet of {counted(len(connection.assembling), 'message')} holds more than {most} bytes"
        raise Refusal("RESOURCE_ERROR", text, BASIC_PUBLISH.id)


def _open_channel(connection: Connection, kind: int, number: int, payload: bytes) -> None:
    if kind != FRAME_METHOD or len(payload) < 4:
        raise strange_frame(kind, payload, on_channel=True)
    count = len(connection.channels)
    if count >= connection.channel_max:
        raise Refusal(
            "NOT_ALLOWED",
            f"number of channels opened ({count}) has reached the negotiated channel_max ({connection.channel_max})",
            NO_METHOD,
        )
    method = known(payload)
    if method is not CHANNEL_OPEN:
        raise Refusal("CHANNEL_ERROR", "expected 'channel.open'", method.id)
    connection.channels[number] = Channel(connection, number)
    connection.send(CHANNEL_OPEN_OK.frame(number))


def _on_closing_channel(connection: Connection, channel: Channel, payload: bytes) -> None:
    if payload.startswith(CHANNEL_CLOSE_OK.prefix):
        del connection.channels[channel.number]
    elif payload.startswith(CHANNEL_CLOSE.prefix):
        connection.send(CHANNEL_CLOSE_OK.frame(channel.number))
    elif payload.startswith(CHANNEL_OPEN.prefix):
        raise Refusal("CHANNEL_ERROR", "second 'channel.open' seen")


def _channel_method(connection: Connection, channel: Channel, payload: bytes) -> None:
    method = known(payload)
    if method is CHANNEL_CLOSE:
        channel.release()
        del connection.channels[channel.number]
        connection.publishers.pop(channel, None)
        connection.send(CHANNEL_CLOSE_OK.frame(channel.number))
        return
    handler = HANDLERS.get(method.id)
    if handler is None:
        raise Refusal("COMMAND_INVALID", "unimplemented method", method.id)
    try:
        values = method.decode(payload)
    except ProtocolError as error:
        raise Refusal("FRAME_ERROR", f"cannot decode {as_binary(payload[4:])}", method.id) from error
    handler(channel, *values)
