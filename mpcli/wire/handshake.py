"""Opening a connection: everything in one write, and step by step with a broker that does not like that.

AMQP's handshake takes four round trips when each answer is awaited. None of the client's part depends on them, so
it goes out at once, with the caller's first methods behind it; the answers are then read in their order. Only what a
broker refuses before `connection.open-ok`, and not for the user's or the vhost's sake, is tried again stepwise: up to
there nothing of the caller's can have been carried out.
"""

from __future__ import annotations

from time import monotonic

from mpcli.errors import BrokerRefused, BrokerUnreachable, ProtocolError
from mpcli.wire.codec import Table, encode_table
from mpcli.wire.connection import Connection, ConnectionLost, First
from mpcli.wire.frames import PROTOCOL_HEADER
from mpcli.wire.methods import (
    CHANNEL_OPEN,
    CHANNEL_OPEN_OK,
    CONNECTION_CLOSE,
    CONNECTION_OPEN,
    CONNECTION_OPEN_OK,
    CONNECTION_START,
    CONNECTION_START_OK,
    CONNECTION_TUNE,
    CONNECTION_TUNE_OK,
    Method,
)
from mpcli.wire.refusal import connection_refusal, is_about_us
from mpcli.wire.transport import open_socket
from mpcli.wire.url import BrokerUrl, parse_urls

CONNECT_TIMEOUT = 5.0
# A limit above the broker's own is refused, so the defaults of RabbitMQ are as far as one can go unasked.
_CHANNELS = 64
_FRAME_MAX = 131072
_CAPABILITIES: Table = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}


def connect(
    urls: str,
    *,
    timeout: float = CONNECT_TIMEOUT,
    heartbeat: int = 30,
    first: First | None = None,
    name: str = "mp",
    channels: int = _CHANNELS,
) -> Connection:
    """Connect to the first of `urls` that answers; channel 1 is open. `first` gives methods to send along with it.

    `timeout` and `heartbeat` are in seconds, `name` is shown in the broker's list of connections, `channels` is how
    many are wanted at most. Raises `BrokerUnreachable` when none answers, `BrokerRefused` as soon as one says no,
    `ConfigError` for a broken URL.
    """
    addresses = parse_urls(urls)
    deadline = monotonic() + timeout
    failures: list[BrokerUnreachable] = []
    for tried, url in enumerate(addresses):
        share = (deadline - monotonic()) / (len(addresses) - tried)
        opening = _Opening(url, monotonic() + share, heartbeat, first, name, channels)
        try:
            return opening.run()
        except BrokerUnreachable as error:
            if opening.is_open and first:
                raise  # what was sent along may have been carried out: it must not be done at the next host too
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise BrokerUnreachable("; ".join(error.message for error in failures), failures[0].hint)


class _DislikesPipelining(Exception):
    """The broker ended a pipelined handshake early, for a reason that one step at a time may avoid."""


class _Opening:
    """Getting one connection to one address."""

    def __init__(
        self, url: BrokerUrl, deadline: float, heartbeat: int, first: First | None, name: str, channels: int
    ) -> None:
        self.url = url
        self.deadline = deadline
        self.heartbeat = heartbeat
        self.first = first
        self.name = name
        self.channels = channels
        self.pipelined = True
        self.is_open = False

    def run(self) -> Connection:
        try:
            return self._attempt()
        except _DislikesPipelining:
            self.pipelined = False
            return self._attempt()

    def _attempt(self) -> Connection:
        connection = Connection(self.url, open_socket(self.url, self.deadline))
        try:
            if self.pipelined:
                self._at_once(connection)
            else:
                self._stepwise(connection)
        except BaseException:
            connection.abort()
            raise
        return connection

    def _at_once(self, connection: Connection) -> None:
        connection.agree(self.channels, _FRAME_MAX, self.heartbeat)
        self._send(
            connection,
            PROTOCOL_HEADER
            + self._start_ok("PLAIN")
            + CONNECTION_TUNE_OK.frame(0, self.channels, _FRAME_MAX, self.heartbeat)
            + CONNECTION_OPEN.frame(0, self.url.vhost)
            + CHANNEL_OPEN.frame(1)
            + (self.first(_FRAME_MAX) if self.first else b""),
        )
        start = self._expect(connection, CONNECTION_START)
        if "PLAIN" not in _mechanisms(start):
            raise _DislikesPipelining
        for method in (CONNECTION_TUNE, CONNECTION_OPEN_OK):
            self._expect(connection, method)
        self.pipelined = False  # it is through: from here a failure is final
        self.is_open = True
        self._expect(connection, CHANNEL_OPEN_OK)

    def _stepwise(self, connection: Connection) -> None:
        self._send(connection, PROTOCOL_HEADER)
        mechanism = self._choose(_mechanisms(self._expect(connection, CONNECTION_START)))
        self._send(connection, self._start_ok(mechanism))
        offered = self._expect(connection, CONNECTION_TUNE)
        channels, frame = (int(str(value)) for value in offered[:2])
        channel_max = min(channels or self.channels, self.channels)
        frame_max = min(frame or _FRAME_MAX, _FRAME_MAX)
        connection.agree(channel_max, frame_max, self.heartbeat)
        self._send(
            connection,
            CONNECTION_TUNE_OK.frame(0, channel_max, frame_max, self.heartbeat)
            + CONNECTION_OPEN.frame(0, self.url.vhost),
        )
        self._expect(connection, CONNECTION_OPEN_OK)
        self._send(connection, CHANNEL_OPEN.frame(1))
        self._expect(connection, CHANNEL_OPEN_OK)
        if self.first:
            self._send(connection, self.first(frame_max))

    def _send(self, connection: Connection, data: bytes) -> None:
        try:
            connection.send(data, self.deadline - monotonic())
        except ConnectionLost:
            if self.pipelined:
                raise _DislikesPipelining from None
            raise

    def _expect(self, connection: Connection, method: Method) -> list[object]:
        """The values of the next method, which must be `method`."""
        try:
            incoming = connection.receive_any(self.deadline)
        except TimeoutError:
            raise BrokerUnreachable(
                f"the broker at {self.url.address} does not answer in time (waiting for {method.name})",
                "is it overloaded, or is another program on this port?",
            ) from None
        except (ConnectionLost, ProtocolError) as error:
            if self.pipelined:
                raise _DislikesPipelining from None
            raise self._hung_up(method, error) from error
        if incoming.method is method:
            if method is CONNECTION_START:
                connection.server_properties = incoming.values[2]  # type: ignore[assignment]  # a table, says the codec
            return incoming.values
        if incoming.method is not CONNECTION_CLOSE:
            raise ProtocolError(f"the broker at {self.url.address} sent {incoming.method.name}, not {method.name}")
        code, text = int(str(incoming.values[0])), str(incoming.values[1])
        if self.pipelined and not is_about_us(code, text):
            raise _DislikesPipelining
        raise connection_refusal(self.url, code, text)

    def _hung_up(self, method: Method, error: Exception) -> Exception:
        """Brokers that do not know `authentication_failure_close` tell a refusal by hanging up."""
        if method is CONNECTION_TUNE:
            return BrokerRefused(
                f"the broker at {self.url.address} hung up at the login of user {self.url.user!r}",
                "check user and password in the URL",
            )
        if method is CONNECTION_OPEN_OK:
            return BrokerRefused(
                f"the broker at {self.url.address} hung up when asked for vhost {self.url.vhost!r}",
                "check the path of the URL, and the user's permissions",
            )
        return error

    def _choose(self, mechanisms: list[str]) -> str:
        usable = ["PLAIN", "AMQPLAIN"]
        if self.url.tls and self.url.tls.cert_file:
            usable.append("EXTERNAL")
        for mechanism in usable:
            if mechanism in mechanisms:
                return mechanism
        raise BrokerRefused(
            f"the broker at {self.url.address} offers no way of login that mp knows: {' '.join(mechanisms)}",
            f"mp knows {', '.join(usable)}",
        )

    def _start_ok(self, mechanism: str) -> bytes:
        properties: Table = {
            "product": "mp",
            "platform": "Python",
            "connection_name": self.name,
            "capabilities": _CAPABILITIES,
        }
        return CONNECTION_START_OK.frame(0, properties, mechanism, self._credentials(mechanism), "en_US")

    def _credentials(self, mechanism: str) -> bytes:
        if mechanism == "PLAIN":
            return f"\0{self.url.user}\0{self.url.password}".encode()
        if mechanism == "AMQPLAIN":
            # A table without its length in front (RabbitMQ, rabbit_auth_mechanism_amqplain).
            return encode_table({"LOGIN": self.url.user, "PASSWORD": self.url.password})[4:]
        return b""


def _mechanisms(start: list[object]) -> list[str]:
    offered = start[3]
    return offered.decode("ascii", "replace").split() if isinstance(offered, bytes) else []
