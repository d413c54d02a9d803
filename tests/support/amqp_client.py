"""A client without opinions: it sends what a test says and shows what came back, on the project's own codec."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

import pytest

from mpcli.wire import methods as m
from mpcli.wire.frames import FRAME_BODY, FRAME_HEADER, FRAME_METHOD, PROTOCOL_HEADER, FrameSplitter, encode_content
from mpcli.wire.properties import decode_properties, encode_properties

PATIENCE = 40.0  # seconds; a machine may be busy
CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}


class Closed(Exception):
    """The broker closed the channel or the connection."""

    def __init__(self, scope: str, code: int, text: str, method: tuple[int, int]) -> None:
        super().__init__(f"{scope} closed: {code} {text}")
        self.scope, self.code, self.text, self.method = scope, code, text, method


@dataclass
class Event:
    """A method from the broker, with the message that it carries."""

    channel: int
    name: str
    values: list
    properties: dict = field(default_factory=dict)
    body: bytes = b""

    @property
    def headers(self) -> dict:
        return self.properties.get("headers", {})


class Client:
    """One connection. Channels are numbers; `open` opens one."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        # What is sent in small pieces would wait 40 ms for the broker's acknowledgement of the piece before.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.splitter = FrameSplitter()
        self.events: list[Event] = []
        self.heartbeats = 0
        self.ended = False
        self._partial: tuple[Event, int] | None = None

    def handshake(self, user: str, password: str, vhost: str, **options) -> Client:
        """The whole handshake in one write, as `mp` does it."""
        start = {"capabilities": options.get("capabilities", CAPABILITIES)}
        tune = (options.get("channel_max", 2047), options.get("frame_max", 131072), options.get("heartbeat", 0))
        self.send_bytes(
            PROTOCOL_HEADER
            + m.CONNECTION_START_OK.frame(0, start, "PLAIN", f"\0{user}\0{password}".encode(), "en_US")
            + m.CONNECTION_TUNE_OK.frame(0, *tune)
            + m.CONNECTION_OPEN.frame(0, vhost)
        )
        self.expect("connection.open-ok", channel=0)
        self.events.clear()
        return self

    # -- sending ---------------------------------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        self.socket.settimeout(PATIENCE)  # and not what the last look for an answer had
        self.socket.sendall(data)

    def send(self, channel: int, method: m.Method, *values: object) -> None:
        self.send_bytes(method.frame(channel, *values))

    def call(self, channel: int, method: m.Method, *values: object) -> list:
        """Send and wait for the answer. Raises `Closed` when the answer is a close."""
        self.send(channel, method, *values)
        return self.expect(f"{method.name}-ok", channel).values

    def open(self, channel: int = 1) -> int:
        self.call(channel, m.CHANNEL_OPEN)
        return channel

    def publish(self, exchange: str, key: str, body: bytes = b"body", *, channel: int = 1, **options) -> None:
        mandatory = options.pop("mandatory", False)
        immediate = options.pop("immediate", False)
        frame_max = options.pop("frame_max", 131072)
        self.send_bytes(
            m.BASIC_PUBLISH.frame(channel, exchange, key, mandatory, immediate)
            + encode_content(channel, encode_properties(options), body, frame_max)
        )

    # -- the common methods ----------------------------------------------------------------------------------------

    def queue(self, name: str = "", *, channel: int = 1, **options) -> list:
        """Declare, and answer with name, messages, consumers."""
        flags = [options.pop(flag, False) for flag in ("passive", "durable", "exclusive", "auto_delete", "nowait")]
        arguments = {f"x-{key.replace('_', '-')}": value for key, value in options.items()}
        return self.call(channel, m.QUEUE_DECLARE, name, *flags, arguments)

    def exchange(self, name: str, kind: str = "direct", *, channel: int = 1, **options) -> None:
        flags = [options.pop(flag, False) for flag in ("passive", "durable", "auto_delete", "internal", "nowait")]
        self.call(channel, m.EXCHANGE_DECLARE, name, kind, *flags, options.pop("arguments", {}))

    def bind(self, queue: str, exchange: str, key: str = "", *, channel: int = 1, **arguments) -> None:
        self.call(channel, m.QUEUE_BIND, queue, exchange, key, False, arguments)

    def consume(self, queue: str, tag: str = "", *, channel: int = 1, **options) -> str:
        flags = [options.pop(flag, False) for flag in ("no_local", "no_ack", "exclusive")]
        arguments = {f"x-{key.replace('_', '-')}": value for key, value in options.items()}
        return self.call(channel, m.BASIC_CONSUME, queue, tag, *flags, False, arguments)[0]

    def get(self, queue: str, *, channel: int = 1, no_ack: bool = True) -> Event | None:
        self.send(channel, m.BASIC_GET, queue, no_ack)
        event = self.expect(("basic.get-ok", "basic.get-empty"), channel)
        return event if event.name == "basic.get-ok" else None

    def bodies(self, queue: str, *, channel: int = 1) -> list[bytes]:
        """Take all that waits."""
        taken = []
        while (event := self.get(queue, channel=channel)) is not None:
            taken.append(event.body)
        return taken

    # -- receiving -------------------------------------------------------------------------------------------------

    def expect(self, names: str | tuple[str, ...], channel: int | None = None) -> Event:
        """The next event with one of these names; others stay for later. Raises `Closed`."""
        wanted = (names,) if isinstance(names, str) else names
        deadline = time.monotonic() + PATIENCE
        while True:
            for index, event in enumerate(self.events):
                if event.name in wanted and channel in (None, event.channel):
                    return self.events.pop(index)
                if event.name in ("channel.close", "connection.close"):
                    del self.events[index]
                    code, text, *method = event.values
                    raise Closed(event.name.split(".")[0], code, text, tuple(method))
            if self.ended:
                raise AssertionError(f"the connection ended before {wanted} came")
            assert time.monotonic() < deadline, f"no {wanted} came, but {self.events}"
            self.receive(0.2)

    def refused(self) -> Closed:
        """The close that the broker sends now."""
        with pytest.raises(Closed) as caught:
            self.expect("nothing that ever comes")
        return caught.value

    def end(self) -> None:
        """Wait until the broker has closed the socket."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended:
            assert time.monotonic() < deadline, f"the socket is open; so far {self.events}"
            self.receive(0.2)

    def deliveries(self, count: int) -> list[Event]:
        """The next deliveries, and the certainty that no more than these were sent."""
        found = [self.expect("basic.deliver") for _ in range(count)]
        self.settled()
        assert not [event for event in self.events if event.name == "basic.deliver"], self.events
        return found

    def settled(self, channel: int = 1) -> None:
        """Wait until the broker has carried out everything sent on the channel."""
        self.call(channel, m.CHANNEL_FLOW, True)
        self.receive(0.05)

    def receive(self, seconds: float) -> None:
        """Read what comes within the time; return at the first bytes."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 20)
        except TimeoutError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
        for kind, channel, payload in self.splitter.feed(data):
            self._frame(kind, channel, payload)

    def _frame(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == FRAME_METHOD:
            method, values = m.decode_method(payload)
            event = Event(channel, method.name, values)
            if method in (m.BASIC_DELIVER, m.BASIC_GET_OK, m.BASIC_RETURN):
                self._partial = (event, -1)
            else:
                self.events.append(event)
        elif kind in (FRAME_HEADER, FRAME_BODY):
            event, missing = self._partial
            if kind == FRAME_HEADER:
                missing = int.from_bytes(payload[4:12], "big")
                event.properties, _ = decode_properties(payload, 12)
            else:
                event.body += payload
                missing -= len(payload)
            self._partial = (event, missing)
            if missing == 0:
                self.events.append(event)
        else:
            self.heartbeats += 1

    def close(self) -> None:
        self.socket.close()
