"""One socket: bytes in, bytes out once for each turn of the loop, heartbeats, back-pressure, deadlines."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from mpcli.brokers.embedded import frames

if TYPE_CHECKING:
    from mpcli.brokers.embedded.broker import Broker

# What may wait to be written before consumers on this connection are passed over.
_WRITE_BUFFER = 1024 * 1024
_FLUSH_AT = 256 * 1024


class Link(asyncio.BufferedProtocol):
    """The socket of a client, below AMQP.

    All links of a broker read into one buffer: a plain `Protocol` has 256 KiB allocated for each chunk it is given.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.transport: asyncio.Transport | None = None
        # The transport's buffer is full: nothing is delivered until it has drained.
        self.paused = False
        # The broker is full: nothing is read until there is room.
        self.blocked = False
        # The client leaves too much unread: nothing more that it asks for is carried out until it has caught up.
        self.stalled = False
        self.heard = False
        self._out: list[bytes] = []
        self._out_size = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._heartbeats: asyncio.TimerHandle | None = None
        self._spoke = False
        self._silence = 0.0

    def connected(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there. Its client has so many seconds to open a connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self.set_deadline(self.broker.limits.handshake, self.abort)

    def get_buffer(self, _hint: int) -> memoryview:
        """Where the next chunk goes."""
        return self.broker.inbox

    def buffer_updated(self, size: int) -> None:
        """A chunk has come."""
        self.data_received(bytes(self.broker.inbox[:size]))

    def data_received(self, data: bytes) -> None:
        """Carry out what the bytes say."""
        raise NotImplementedError

    def disconnected(self) -> None:
        """The socket is gone."""
        self.transport = None
        self.clear_deadline()
        if self._heartbeats is not None:
            self._heartbeats.cancel()

    # -- frames out ------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send at the end of the turn, or at once when much has gathered."""
        if not self._out:
            self.broker.wrote(self)
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Give what has gathered to the socket."""
        out, self._out, self._out_size = self._out, [], 0
        if self.transport is not None and out:
            self._spoke = True
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
            if self.paused and self.transport.get_write_buffer_size() > self.broker.limits.unread:
                self.stalled = True
                self.transport.pause_reading()

    def beat(self, heartbeat: int) -> None:
        """Begin to send heartbeats, and to cut off a peer that is silent for two intervals."""
        if heartbeat:
            self._heartbeats = self.broker.loop.call_later(heartbeat / 2, self._heartbeat, heartbeat)

    def _heartbeat(self, interval: int) -> None:
        deaf = self.blocked or self.stalled
        self._silence = 0.0 if self.heard or deaf else self._silence + interval / 2
        if self._silence >= 2 * interval:
            self._reset()
            return
        if not self._spoke and self.transport is not None:
            self.transport.write(frames.HEARTBEAT)
        self.heard = self._spoke = False
        self._heartbeats = self.broker.loop.call_later(interval / 2, self._heartbeat, interval)

    def set_deadline(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it when the time is up; a later deadline replaces this one."""
        self.clear_deadline()
        self._deadline = self.broker.loop.call_later(seconds, action)

    def clear_deadline(self) -> None:
        """What was waited for has come."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def finish(self) -> None:
        """Send what is left and close the socket."""
        self.flush()
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cut it off."""
        if self.transport is not None:
            self.transport.abort()

    def _reset(self) -> None:
        # As RabbitMQ does it: after a plain end the peer's next write would still succeed, into nothing.
        if self.transport is not None:
            at_once = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.abort()
