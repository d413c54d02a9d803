"""A blocking AMQP 0-9-1 connection for one-shot work and for long watches, with a deadline on every wait.

Not thread-safe: one thread, one connection. Deadlines are on the clock of `time.monotonic`.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mpcli.errors import BrokerUnreachable
from mpcli.wire.codec import Table
from mpcli.wire.frames import (
    FRAME_BODY,
    FRAME_HEADER,
    FRAME_HEARTBEAT,
    FRAME_METHOD,
    PROTOCOL_HEADER,
    FrameSplitter,
    encode_content,
    encode_frame,
)
from mpcli.wire.incoming import Assembly, Incoming
from mpcli.wire.methods import (
    BASIC_GET,
    BASIC_GET_EMPTY,
    BASIC_GET_OK,
    BASIC_PUBLISH,
    CHANNEL_CLOSE,
    CHANNEL_CLOSE_OK,
    CHANNEL_OPEN,
    CONNECTION_BLOCKED,
    CONNECTION_CLOSE,
    CONNECTION_CLOSE_OK,
    CONNECTION_UNBLOCKED,
    EXCHANGE_UNBIND,
    EXCHANGE_UNBIND_OK,
    Method,
)
from mpcli.wire.properties import Properties, encode_properties
from mpcli.wire.refusal import channel_refusal, connection_refusal
from mpcli.wire.url import BrokerUrl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

_CHUNK = 262144
_AT_ONCE = 0.005
_FRAME_KINDS = frozenset({FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT})
_HEARTBEAT = encode_frame(FRAME_HEARTBEAT, 0, b"")
# Methods whose answer is not the next number of their class.
_ANSWERS = {EXCHANGE_UNBIND.id: {EXCHANGE_UNBIND_OK.id}, BASIC_GET.id: {BASIC_GET_OK.id, BASIC_GET_EMPTY.id}}

# What the caller sends together with the handshake, for the frame size that was agreed.
First = Callable[[int], bytes]


class ConnectionLost(BrokerUnreachable):
    """There was a connection and it broke: the broker stopped, hung up, or is cut off."""


class Connection:
    """An open connection. Made by `mpcli.wire.handshake.connect`; channel 1 is open from the start.

    `blocked` is the broker's reason while it takes no publishes (its memory or disk is low), otherwise empty.
    """

    def __init__(self, url: BrokerUrl, connected: _socket.socket) -> None:
        self.url = url
        self.server_properties: Table = {}
        self.frame_max = 0
        self.channel_max = 0
        self.heartbeat = 0
        self.blocked = ""
        self._socket = connected
        self._splitter = FrameSplitter()
        self._ready: list[Incoming] = []
        self._assembly = Assembly(url)
        self._greeted = False
        self._sent_at = self._received_at = monotonic()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def agree(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        """Hold to what was negotiated: channels, bytes of a frame, seconds between heartbeats (0 for none)."""
        self.channel_max = channel_max
        self.frame_max = self._splitter.frame_max = frame_max
        self.heartbeat = heartbeat

    # -- out -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes, wait: float = 10.0) -> None:
        """Write whole frames. Raises `BrokerUnreachable`, or what the broker said when it closed the connection."""
        try:
            self._socket.settimeout(max(wait, 0.001))
            self._socket.sendall(data)
        except OSError as error:
            self._raise_last_words()
            raise self._lost(error) from error
        self._sent_at = monotonic()

    def publish_frames(
        self, exchange: str, routing_key: str, properties: Properties, body: bytes, *, mandatory: bool, channel: int = 1
    ) -> bytes:
        """A publish as bytes, to be sent alone or behind others."""
        method = BASIC_PUBLISH.frame(channel, exchange, routing_key, mandatory, False)
        return method + encode_content(channel, encode_properties(properties), body, self.frame_max)

    def request(self, method: Method, *values: object, channel: int = 1, wait: float = 5.0) -> list[object]:
        """Send a method and return the values of its answer; what else arrives meanwhile is kept for `receive`.

        Raises `BrokerRefused` with `code` when the broker closes the channel, `BrokerUnreachable` after `wait` seconds.
        """
        self.send(method.frame(channel, *values), wait)
        return self.answer(method, channel=channel, deadline=monotonic() + wait).values

    def answer(self, method: Method, *, channel: int = 1, deadline: float) -> Incoming:
        """The answer to a method that was sent before. Raises as `request` does."""
        wanted = _ANSWERS.get(method.id) or {method.id + 1}
        aside: list[Incoming] = []
        try:
            while True:
                incoming = self.receive(deadline)
                if incoming.channel == channel and incoming.method.id in wanted:
                    return incoming
                if incoming.channel == channel and incoming.method is CHANNEL_CLOSE:
                    raise self.refusal(incoming)
                aside.append(incoming)
        except TimeoutError:
            raise BrokerUnreachable(f"the broker at {self.url.address} does not answer {method.name} in time") from None
        finally:
            self._ready = aside + self._ready

    def refusal(self, incoming: Incoming) -> Exception:
        """The error that a `channel.close` stands for."""
        return channel_refusal(self.url, int(str(incoming.values[0])), str(incoming.values[1]))

    def open_channel(self, number: int, wait: float = 5.0) -> None:
        """Open a channel, or one again that the broker closed."""
        self.request(CHANNEL_OPEN, channel=number, wait=wait)

    # -- in --------------------------------------------------------------------------------------------------------

    def receive(self, deadline: float) -> Incoming:
        """The next method. A channel that the broker closed comes as its `channel.close`, already answered.

        Raises `TimeoutError` at the deadline, `BrokerRefused` or `BrokerUnreachable` when the connection ends,
        `ProtocolError` when what arrives is not AMQP.
        """
        incoming = self.receive_any(deadline)
        if incoming.method is CONNECTION_CLOSE:
            raise connection_refusal(self.url, int(str(incoming.values[0])), str(incoming.values[1]))
        return incoming

    def receive_any(self, deadline: float) -> Incoming:
        """As `receive`, and a `connection.close` comes as such."""
        while not self._ready:
            self._read(deadline)
        return self._ready.pop(0)

    def fileno(self) -> int:
        """For a loop that waits on several things; it looks at `unread`, and calls `arrived` and `beat` itself."""
        return self._socket.fileno()

    @property
    def unread(self) -> bool:
        """Whether something came of which the socket shows nothing any more."""
        pending = getattr(self._socket, "pending", None)  # TLS decrypts more than was asked for
        return bool(self._ready) or bool(pending is not None and pending())

    def arrived(self) -> list[Incoming]:
        """What is there without waiting, as `receive_any` gives it, when the socket can be read or `unread` is true."""
        if not self._ready:
            try:  # noqa: SIM105 - contextlib costs a cold call a third of a millisecond
                self._read(monotonic() + _AT_ONCE)
            except TimeoutError:
                pass
        ready, self._ready = self._ready, []
        return ready

    def _read(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            self._socket.settimeout(min(left, self.heartbeat / 2) if self.heartbeat else left)
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            self.beat()
            return
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            raise self._lost(None)
        self._feed(data)
        self.beat()

    def _feed(self, data: bytes) -> None:
        self._received_at = monotonic()
        if not self._greeted:
            self._greet(data)
        for kind, channel, payload in self._splitter.feed(data):
            incoming = self._assembly.feed(kind, channel, payload)
            if incoming is not None:
                self._take(incoming)

    def _greet(self, data: bytes) -> None:
        """Look at the first bytes of the peer: most of what is not AMQP shows here."""
        self._greeted = True
        if data[0] in _FRAME_KINDS:
            return
        if PROTOCOL_HEADER.startswith(data[:4]):
            why, hint = "it speaks another version of AMQP", "AMQP 0-9-1 is needed"
        elif data[0] == 0x15:
            why, hint = "it wants TLS", "the URL of a TLS port begins with amqps://"
        else:
            why, hint = "it speaks something else", "is another program on this port?"
        raise BrokerUnreachable(f"no AMQP broker at {self.url.address}: {why}", hint)

    def _take(self, incoming: Incoming) -> None:
        method = incoming.method
        if method is CONNECTION_BLOCKED:
            self.blocked = str(incoming.values[0]) or "no reason given"
        elif method is CONNECTION_UNBLOCKED:
            self.blocked = ""
        elif method is not CONNECTION_CLOSE_OK:
            self._answer_close(incoming.channel, method)
            self._ready.append(incoming)

    def _answer_close(self, channel: int, method: Method) -> None:
        if method is CHANNEL_CLOSE:
            self._assembly.drop(channel)
            self.send(CHANNEL_CLOSE_OK.frame(channel))
        elif method is CONNECTION_CLOSE:
            try:
                self._socket.sendall(CONNECTION_CLOSE_OK.frame(0))
            except OSError:
                return  # it did not wait for the courtesy

    # -- alive and closed ------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Send a heartbeat when one is due; give up on a peer that was silent for two of its own."""
        if not self.heartbeat:
            return
        now = monotonic()
        if now - self._received_at > 2 * self.heartbeat:
            raise ConnectionLost(f"the broker at {self.url.address} has been silent for {2 * self.heartbeat} s")
        if now - self._sent_at >= self.heartbeat / 2:
            self.send(_HEARTBEAT)

    def stay_alive(self) -> None:
        """Take in what has arrived and send a heartbeat when one is due; returns at once. Raises as `receive` does."""
        self._read(monotonic() + 0.001)

    def _lost(self, error: OSError | None) -> ConnectionLost:
        why = (error.strerror or str(error)).lower() if error else "closed without a word"
        return ConnectionLost(f"the connection to {self.url.address} was lost: {why}", "did the broker stop?")

    def _raise_last_words(self) -> None:
        """A write failed because the broker hung up: its reason may still wait to be read."""
        if any(incoming.method is CONNECTION_CLOSE for incoming in self._ready):
            return
        try:
            self._socket.settimeout(0.2)
            while data := self._socket.recv(_CHUNK):
                self._feed(data)
        except OSError:
            pass  # the reset that made the write fail shows here too
        for incoming in self._ready:
            if incoming.method is CONNECTION_CLOSE:
                raise connection_refusal(self.url, int(str(incoming.values[0])), str(incoming.values[1]))

    def close(self) -> None:
        """Say goodbye and hang up: what the connection owned (exclusive queues) is gone a moment after the return."""
        try:
            self._socket.settimeout(0.2)
            self._socket.sendall(CONNECTION_CLOSE.frame(0, 200, "", 0, 0))
        except OSError:
            pass  # gone already: that is what was wanted
        self.abort()

    def take_over(self) -> tuple[_socket.socket, FrameSplitter]:
        """The socket, and the splitter with what was read ahead, for a loop of its own; nothing else works after it."""
        return self._socket, self._splitter

    def abort(self) -> None:
        """Hang up without a word."""
        self._socket.close()
