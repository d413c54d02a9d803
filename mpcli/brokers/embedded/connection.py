"""A client's connection: its frames, its channels, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from struct import Struct
from typing import TYPE_CHECKING

from mpcli.brokers.embedded import handshake
from mpcli.brokers.embedded.channel_frames import channel_frame
from mpcli.brokers.embedded.limits import FRAME_FUDGE, FRAME_MIN
from mpcli.brokers.embedded.link import Link
from mpcli.brokers.embedded.odd_frames import NO_METHOD, known, snippet, strange_frame
from mpcli.brokers.embedded.refusal import Refusal, as_binary
from mpcli.errors import ProtocolError
from mpcli.wire.codec import Table
from mpcli.wire.frames import FRAME_END, FRAME_HEARTBEAT, FRAME_METHOD, FRAME_OVERHEAD, PROTOCOL_HEADER
from mpcli.wire.methods import CONNECTION_BLOCKED, CONNECTION_CLOSE, CONNECTION_CLOSE_OK, CONNECTION_UNBLOCKED

if TYPE_CHECKING:
    from mpcli.brokers.embedded.broker import Broker
    from mpcli.brokers.embedded.channel import Channel
    from mpcli.brokers.embedded.publishing import Assembly
    from mpcli.brokers.embedded.queue import Queue
    from mpcli.brokers.embedded.vhost import VHost

_FRAME_START = Struct(">BHI")


class Connection(Link):
    """One client. Everything it does happens in the loop's callbacks below."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.vhost: VHost | None = None
        self.user = ""
        # header, start, tune, open (handshake), running, closing (we said close), closed
        self.state = "header"
        self.capabilities: Table = {}
        self.frame_max = broker.limits.frame_max
        self.read_max = FRAME_MIN
        self.heartbeat = 0
        self.channel_max = broker.limits.channel_max
        self.channels: dict[int, Channel] = {}
        self.assembling: dict[int, Assembly] = {}
        # Bytes of the bodies in them.
        self.unfinished = 0
        self.publishers: dict[Channel, None] = {}
        self.exclusive_queues: set[Queue] = set()
        self._pending = b""
        self._told_blocked = False

    @property
    def open_vhost(self) -> VHost:
        """The virtual host; channels exist only on a connection that has one."""
        assert self.vhost is not None
        return self.vhost

    def capable(self, name: str) -> bool:
        """Whether the client announced the capability."""
        return self.capabilities.get(name) is True

    # -- called by the loop ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self.connected(transport)
        if len(self.broker.connections) >= self.broker.limits.connections or self.broker.failure is not None:
            self.abort()
        self.broker.came(self)

    def data_received(self, data: bytes) -> None:
        """Carry out what the bytes say, then send what came of it."""
        self.heard = True
        try:
            self._feed(data)
        except Refusal as refusal:
            self.refuse(refusal, refusal.method or 0)
        except Exception:  # one client's connection ends over it, not the broker
            logging.getLogger(__name__).exception("a method could not be carried out")
            self.refuse(Refusal("INTERNAL_ERROR", "see the broker's log"), 0)
        for channel in self.publishers:
            channel.settle()
        self.publishers.clear()
        self.broker.flush()

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone: what it held goes back."""
        self._release()
        self.state = "closed"
        self.disconnected()
        self.broker.flush()
        self.broker.went(self)

    def pause_writing(self) -> None:
        """The client reads too slowly: deliver no more."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        for channel in list(self.channels.values()):
            for queue in {consumer.queue for consumer in channel.consumers.values()}:
                queue.drain()
        self.broker.flush()
        if self.stalled:
            self.stalled = False
            self._go_on()

    def _go_on(self) -> None:
        # First with what was read before it had to wait, which may make it wait again.
        self.data_received(b"")
        if self.transport is not None and not (self.blocked or self.stalled or self.transport.is_closing()):
            self.transport.resume_reading()

    def running(self) -> None:
        """The handshake is over."""
        self.state = "running"
        self.clear_deadline()
        self.beat(self.heartbeat)

    # -- frames in -------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
            self._pending = b""
        at = 0
        if self.state == "header":
            at = self._protocol_header(data)
        size = len(data)
        while size - at >= 7 and self.state != "closed" and not (self.blocked or self.stalled):
            kind, channel, length = _FRAME_START.unpack_from(data, at)
            if length > self.read_max - FRAME_OVERHEAD + FRAME_FUDGE:
                detail = f"{{frame_too_large,{length},{self.read_max - FRAME_OVERHEAD}}}"
                self._lost_sync(kind, b"", detail)
                return
            end = at + 7 + length
            if end >= size:
                break
            payload = data[at + 7 : end]
            if data[end] != FRAME_END:
                self._lost_sync(kind, payload, f"{{invalid_frame_end_marker,{data[end]}}}")
                return
            at = end + 1
            self._frame(kind, channel, payload)
        if self.state != "closed":
            self._pending = data[at:]

    def _protocol_header(self, data: bytes) -> int:
        if len(data) < 8:
            if data == PROTOCOL_HEADER[: len(data)] or not data.startswith(b"AMQP"[: len(data)]):
                self._pending = data
            return len(data) if not self._pending else 0
        # 0-9, which clients of old say for 0-9-1, is served too.
        if data[:8] not in (PROTOCOL_HEADER, b"AMQP\x01\x01\x00\x09"):
            self.send(PROTOCOL_HEADER)
            self.hang_up(self.broker.limits.silence)
            if self.transport is not None and self.transport.can_write_eof():
                with contextlib.suppress(OSError):  # it is gone already
                    self.transport.write_eof()
            return len(data)
        self.state = "start"
        handshake.start(self)
        return 8

    def _frame(self, kind: int, number: int, payload: bytes) -> None:
        if number and self.state == "running":
            channel_frame(self, kind, number, payload)
        elif self.state == "closing":
            if number == 0 and kind == FRAME_METHOD:
                self._while_closing(payload)
        elif number == 0 and kind == FRAME_METHOD and len(payload) >= 4:
            self._connection_method(payload)
        elif number == 0 and kind == FRAME_HEARTBEAT and not payload:
            pass
        elif number == 0:
            raise strange_frame(kind, payload)
        else:
            raise Refusal("UNEXPECTED_FRAME", f"type {kind}, {snippet(payload)}", NO_METHOD)

    def _connection_method(self, payload: bytes) -> None:
        method = known(payload)
        if method is CONNECTION_CLOSE and self.state == "running":
            self._release()
            self.send(CONNECTION_CLOSE_OK.frame(0))
            self.hang_up()
            return
        try:
            handshake.handle(self, method, method.decode(payload))
        except Refusal as refusal:
            if refusal.method is None:
                refusal.method = method.id
            raise
        except ProtocolError as error:
            raise Refusal("FRAME_ERROR", f"cannot decode {as_binary(payload)}", method.id) from error

    def _while_closing(self, payload: bytes) -> None:
        if payload[:4] == CONNECTION_CLOSE_OK.prefix:
            # It has read all that was sent and writes no more. As in RabbitMQ it need not close the socket first.
            self.state = "closed"
            self.finish()
        elif payload[:4] == CONNECTION_CLOSE.prefix:
            self.send(CONNECTION_CLOSE_OK.frame(0))
            self.hang_up()

    # -- the end ---------------------------------------------------------------------------------------------------

    def refuse(self, refusal: Refusal, method: int) -> None:
        """Close the connection because of what it sent."""
        if self.state in ("header", "start"):
            self.hang_up(self.broker.limits.silence)
            return
        self._say_close(refusal.code, refusal.text, method)

    def force_close(self, reason: str) -> None:
        """Close it because the broker wants to."""
        if self.state == "running":
            self._say_close(320, f"CONNECTION_FORCED - {reason}", 0)
        else:
            self.abort()

    def _say_close(self, code: int, text: str, method: int) -> None:
        if self.state in ("closing", "closed"):
            return
        for channel in self.publishers:
            channel.settle()
        self.broker.journal.commit()
        for channel in list(self.channels.values()):
            channel.confirm()
        self._release()
        self.state = "closing"
        self.send(CONNECTION_CLOSE.frame(0, code, text, method >> 16, method & 0xFFFF))
        self.broker.let_go_on(self)  # it has an answer to give, and what it publishes from now on is not heard
        self.set_deadline(self.broker.limits.closing, self.abort)

    def _lost_sync(self, kind: int, payload: bytes, detail: str) -> None:
        # What follows in the stream is not frames: say why, and read no more.
        refusal = Refusal("FRAME_ERROR", f"type {kind}, {snippet(payload)}: {detail}")
        self.refuse(refusal, 0)
        self.state = "closed"
        self.hang_up(self.broker.limits.silence)

    def _release(self) -> None:
        # What one of its channels gives back is not delivered on the next one, to be given back and counted again.
        self.paused = True
        for channel in self.channels.values():
            channel.cancel_all()
        for channel in self.channels.values():
            channel.release()
        self.channels.clear()
        self.assembling.clear()
        self.unfinished = 0
        for queue in list(self.exclusive_queues):
            queue.vhost.delete_queue(queue)

    # -- blocking --------------------------------------------------------------------------------------------------

    def block(self) -> None:
        """Too much memory is held in messages: hear no more from this publisher for now.

        Not even what was read already: a small publish may become as many entries as the broker has queues.
        """
        if self.blocked or self.transport is None:
            return
        self.blocked = True
        self.broker.block(self)
        self.transport.pause_reading()
        if self.capable("connection.blocked") and not self._told_blocked:
            self._told_blocked = True
            self.send(CONNECTION_BLOCKED.frame(0, "low on memory"))

    def unblock(self) -> None:
        """Go on with it. It is told when it need not wait again at once."""
        self.blocked = False
        self._go_on()
        if self.blocked or not self._told_blocked:
            return
        self._told_blocked = False
        if self.state == "running" and self.transport is not None and not self.transport.is_closing():
            self.send(CONNECTION_UNBLOCKED.frame(0))

    def hang_up(self, patience: float | None = None) -> None:
        """Send what is left, then wait for the client to close: cutting it off would reset what it still reads."""
        self.state = "closed"
        self._pending = b""
        self.flush()
        if self.transport is not None and not self.transport.is_closing():
            self.broker.let_go_on(self)
            seconds = self.broker.limits.closing if patience is None else patience
            self.set_deadline(seconds, self.abort)
