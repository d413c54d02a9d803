"""A tap: a copy of what passes some exchanges of one broker, bounded, and gone with its connection.

Its queues are those of `tap_queues`. Deliveries are acknowledged behind a prefetch limit: only what waits in a queue
counts for its bound, and to a consumer without acknowledgements RabbitMQ hands out everything at once, whether or not
it reads.
"""

from __future__ import annotations

import os
from struct import error as StructError
from time import monotonic

from mpcli.errors import ProtocolError
from mpcli.wire.connection import Connection, ConnectionLost
from mpcli.wire.deliveries import Deliveries
from mpcli.wire.frames import FRAME_HEARTBEAT, Frame, encode_frame
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CANCEL,
    BASIC_CONSUME,
    BASIC_QOS,
    CHANNEL_CLOSE,
    CHANNEL_CLOSE_OK,
    CHANNEL_OPEN,
    CHANNEL_OPEN_OK,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_OK,
    QUEUE_BIND,
    QUEUE_BIND_OK,
    QUEUE_PURGE,
    QUEUE_PURGE_OK,
    decode_method,
)
from mpcli.wire.refusal import NOT_FOUND, channel_refusal, connection_refusal
from mpcli.wire.tap_queues import (
    BINDINGS,
    COUNTS,
    MAX_BYTES,
    MAX_MESSAGES,
    MESSAGES,
    Source,
    bind,
    counter_of,
    declare,
    witness_of,
)

_PREFETCH = 1000
_CHUNK = 262144
_HEARTBEAT = encode_frame(FRAME_HEARTBEAT, 0, b"")
_COUNT_EVERY, _COUNT_WHILE_DROPPING, _BIND_EVERY = 1.0, 0.1, 2.0


class Tap:
    """An open tap. `fileno`, `read` and `tick` are for the loop that waits on several; nothing here blocks for long.

    `missing` are the exchanges that do not exist yet; each is looked for again every two seconds, and `found` and
    `vanished` take their names when that changes. `dropped` counts since it was last read; `uncounted` says that there
    were more.
    """

    def __init__(self, connection: Connection, sources: list[Source], queue: str) -> None:
        self.address = connection.url.address
        self.missing: set[str] = set()
        self.found: list[str] = []
        self.vanished: list[str] = []
        self.dropped = 0
        self.uncounted = False
        self.queue = queue
        self._connection = connection
        self._socket, splitter = connection.take_over()
        self._deliveries = Deliveries(splitter, MESSAGES)
        self._sources = sources
        self._to_bind: list[tuple[str, str]] = []
        self._binding: tuple[str, str] | None = None
        self._purges: list[str] = []
        self._last_tag = 0
        now = monotonic()
        self._sent_at = self._received_at = now
        self._bind_at = now + _BIND_EVERY
        self._count_at = now + _COUNT_EVERY

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def consume(self) -> None:
        """Let the messages come."""
        self._send(BASIC_CONSUME.frame(MESSAGES, self.queue, "tap", False, False, True, False, {}))

    def read(self) -> list[Message]:
        """What has arrived; call it when the socket can be read. Raises `BrokerError` when the connection ended."""
        try:
            self._socket.settimeout(5.0)
            data = self._socket.recv(_CHUNK)
            while data and (pending := getattr(self._socket, "pending", None)) and pending():
                data += self._socket.recv(_CHUNK)  # TLS holds back what select cannot see
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("closed without a word")
        self._received_at = monotonic()
        try:
            messages = self._deliveries.feed(data)
        except (IndexError, StructError) as error:
            raise ProtocolError(f"the broker at {self.address} sent a method that is cut off") from error
        if messages:
            self._last_tag = messages[-1].delivery_tag
        if self._deliveries.others:
            self._take_others()
        return messages

    def acknowledge(self) -> None:
        """Everything that `read` gave is done with: let the broker send more."""
        if self._last_tag:
            self._send(BASIC_ACK.frame(MESSAGES, self._last_tag, True))
            self._last_tag = 0

    @property
    def due(self) -> float:
        """When to call `tick` again, on the clock of `time.monotonic`."""
        return min(self._count_at, self._bind_at)

    def tick(self, now: float) -> None:
        """Do what is due: heartbeats, the count of what was dropped, exchanges that came or went."""
        heartbeat = self._connection.heartbeat
        if heartbeat and now - self._received_at > 2 * heartbeat:
            raise self._lost(f"silent for {2 * heartbeat} s")
        if heartbeat and now - self._sent_at >= heartbeat / 2:
            self._send(_HEARTBEAT)
        if now >= self._count_at:
            self.count()
        if now >= self._bind_at:
            self._bind_at = now + _BIND_EVERY
            if self._binding is None:
                self._to_bind = [(source.exchange, key) for source in self._sources for key in source.patterns]
                self._bind_next()

    def count(self) -> None:
        """Ask how many messages were dropped; the answer comes with a later `read`."""
        self._count_at = monotonic() + _COUNT_EVERY
        if self._purges:
            return
        self._purges += [counter_of(self.queue), witness_of(self.queue)]
        self._send(b"".join(QUEUE_PURGE.frame(COUNTS, queue, False) for queue in self._purges[-2:]))

    @property
    def counting(self) -> bool:
        """Whether an answer to `count` is still to come."""
        return bool(self._purges)

    def close(self) -> None:
        """Hang up; the broker removes the queues with the connection."""
        self._connection.close()

    def abort(self) -> None:
        """Hang up without a word."""
        self._connection.abort()

    # -- answers ---------------------------------------------------------------------------------------------------

    def _take_others(self) -> None:
        frames, self._deliveries.others = self._deliveries.others, []
        for frame in frames:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        _, channel, payload = frame
        method, values = decode_method(payload)
        if method is QUEUE_PURGE_OK:
            self._counted(int(str(values[0])))
        elif method is QUEUE_BIND_OK:
            self._bound(True)
        elif method is CHANNEL_OPEN_OK:
            self._bind_next()
        elif method is CHANNEL_CLOSE:
            self._channel_closed(channel, int(str(values[0])), str(values[1]))
        elif method is CONNECTION_CLOSE:
            self._send(CONNECTION_CLOSE_OK.frame(0))
            raise connection_refusal(self._connection.url, int(str(values[0])), str(values[1]))
        elif method is BASIC_CANCEL:
            raise self._lost("its queue was deleted")

    def _counted(self, count: int) -> None:
        queue = self._purges.pop(0)
        if queue == witness_of(self.queue):
            self.uncounted = self.uncounted or count > 0
        elif count:
            self.dropped += count
            self._count_at = monotonic() + _COUNT_WHILE_DROPPING

    def _bind_next(self) -> None:
        if not self._to_bind or self._binding is not None:
            return
        self._binding = self._to_bind.pop(0)
        exchange, pattern = self._binding
        self._send(QUEUE_BIND.frame(BINDINGS, self.queue, exchange, pattern, False, {}))

    def _bound(self, there: bool) -> None:
        exchange = self._binding[0] if self._binding else ""
        self._binding = None
        if there and exchange in self.missing:
            self.missing.discard(exchange)
            self.found.append(exchange)
        elif not there and exchange not in self.missing:
            self.missing.add(exchange)
            self.vanished.append(exchange)
        if there:
            self._bind_next()

    def _channel_closed(self, channel: int, code: int, text: str) -> None:
        if channel != BINDINGS or code != NOT_FOUND:
            raise channel_refusal(self._connection.url, code, text)
        exchange = self._binding[0] if self._binding else ""
        self._to_bind = [pair for pair in self._to_bind if pair[0] != exchange]
        self._send(CHANNEL_CLOSE_OK.frame(channel) + CHANNEL_OPEN.frame(channel))
        self._bound(False)

    # -- the socket ------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(5.0)
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(str(error)) from error
        self._sent_at = monotonic()

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self.address} was lost: {why}", "did the broker stop?")


def open_tap(
    url: str,
    sources: list[Source],
    *,
    max_messages: int = MAX_MESSAGES,
    max_bytes: int = MAX_BYTES,
    timeout: float = 5.0,
    name: str = "mp tail",
) -> Tap:
    """Connect, make the queues, bind them, begin to consume. `timeout` is in seconds.

    An exchange that does not exist is in `missing`. Raises `BrokerError`; nothing is left on the broker then.
    """
    connection = connect(url, timeout=timeout, name=name)
    try:
        queue = f"mp.tail.{os.urandom(8).hex()}"
        declare(connection, queue, max_messages, max_bytes)
        missing = bind(connection, queue, sources)
        connection.request(BASIC_QOS, 0, _PREFETCH, False)
        tap = Tap(connection, sources, queue)
        tap.missing = missing
        tap.consume()
    except BaseException:
        connection.abort()
        raise
    return tap
