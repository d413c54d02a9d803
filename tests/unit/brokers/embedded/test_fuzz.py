"""Hypothesis against the broker: bytes that are no AMQP, and a model of queues in which no message may get lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from mpcli.brokers.embedded.broker import Broker
from mpcli.brokers.embedded.connection import Connection
from mpcli.brokers.embedded.limits import Limits
from mpcli.wire import methods as m
from mpcli.wire.frames import PROTOCOL_HEADER, FrameSplitter, encode_content, encode_frame
from mpcli.wire.properties import encode_properties

HANDSHAKE = (
    PROTOCOL_HEADER
    + m.CONNECTION_START_OK.frame(0, {}, "PLAIN", b"\0guest\0guest", "en_US")
    + m.CONNECTION_TUNE_OK.frame(0, 100, 131072, 0)
    + m.CONNECTION_OPEN.frame(0, "/")
)
SECOND_OPEN = m.CHANNEL_OPEN.frame(1)
METHODS = [value for value in vars(m).values() if isinstance(value, m.Method)]


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.splitter = FrameSplitter()
        self.frames: list = []
        self.closed = False

    def write(self, data) -> None:
        if data[:8] != PROTOCOL_HEADER:
            self.frames += self.splitter.feed(bytes(data))

    def abort(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high=None, low=None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def write_eof(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed


class House:
    """A broker on a loop that is turned by hand, and its clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

        async def make() -> Broker:
            return Broker({"guest": "guest"}, Limits())

        self.broker = self.loop.run_until_complete(make())

    def client(self, *, handshake: bool = True) -> tuple[Connection, Pipe]:
        connection, pipe = Connection(self.broker), Pipe()
        connection.connection_made(pipe)
        if handshake:
            connection.data_received(HANDSHAKE + m.CHANNEL_OPEN.frame(1))
            pipe.frames.clear()
        return connection, pipe

    def close(self) -> None:
        for connection in list(self.broker.connections):
            connection.connection_lost(None)
        self.loop.close()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House()
    yield house
    house.close()


texts = st.sampled_from(["", "q", "amq.topic", "topic", "amq.rabbitmq.reply-to", "é", "\udcff"])
tables = st.dictionaries(
    st.sampled_from(["x-message-ttl", "x-max-length", "x-queue-type", "x-match", "alternate-exchange", "a"]),
    st.sampled_from(["quorum", 5, -1, True, None, 1.5, b"x", ["a"], {"b": 1}]),
    max_size=2,
)
FIELDS = {
    "s": texts,
    "S": st.binary(max_size=5),
    "F": tables,
    "b": st.booleans(),
    "o": st.integers(0, 255),
    "h": st.integers(0, 5),
    "l": st.integers(0, 5),
    "L": st.integers(0, 5),
}


def filled(method: m.Method) -> st.SearchStrategy[bytes]:
    """The method on channel 1, or 0 for those of the connection, with values that make some sense."""
    letters = [field for field in method.fields if field[0] != "-"]
    channel = 0 if method.name.startswith("connection.") else 1
    return st.tuples(*(FIELDS[letter] for letter in letters)).map(lambda values: method.frame(channel, *values))


sensible = st.sampled_from([method for method in METHODS if not method.name.endswith("-ok")]).flatmap(filled)
method_frames = st.builds(
    lambda method, channel, tail: encode_frame(1, channel, method.prefix + tail),
    st.sampled_from(METHODS),
    st.integers(0, 3),
    st.binary(max_size=40),
)
frames = st.builds(encode_frame, st.integers(0, 9), st.integers(0, 3), st.binary(max_size=60))
streams = st.lists(
    st.one_of(sensible, sensible, sensible, method_frames, frames, st.binary(max_size=30)), max_size=8
).map(b"".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams, st.booleans(), st.lists(st.integers(1, 60), max_size=5))
@example(SECOND_OPEN + m.CONNECTION_CLOSE_OK.frame(0), True, [len(SECOND_OPEN)])  # a refusal that the client answers
def test_no_bytes_disturb_another_client(house, caplog, stream: bytes, handshake: bool, cuts: list[int]) -> None:
    caplog.clear()
    connection, pipe = house.client(handshake=handshake)
    for cut in cuts:
        connection.data_received(stream[:cut])
        stream = stream[cut:]
    connection.data_received(stream)
    connection.connection_lost(None)
    assert not caplog.records, "a bug in a handler is logged"
    other, answers = house.client()
    other.data_received(m.QUEUE_DECLARE.frame(1, "", False, False, True, False, False, {}))
    assert [m.method_of(payload) for _, _, payload in answers.frames] == [m.QUEUE_DECLARE_OK]
    other.connection_lost(None)
    assert not [frame for frame in pipe.frames if frame[0] not in (1, 2, 3, 8)]


QUEUES = ("a", "b", "c")
DEAD = "dead"


class Model(RuleBasedStateMachine):
    """Three queues behind a topic exchange, dead letters, two channels. The model counts where each message is."""

    tags = Bundle("tags")

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.connection, self.pipe = self.house.client()
        self.send(m.CHANNEL_OPEN, channel=2)
        self.send(m.CONFIRM_SELECT, False)
        self.send(m.QUEUE_DECLARE, DEAD, False, False, False, False, False, {})
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD, "x-max-length": 8}
        for name in QUEUES:
            self.send(m.QUEUE_DECLARE, name, False, False, False, False, False, arguments)
            self.send(m.QUEUE_BIND, name, "amq.topic", f"{name}.#", False, {})
            self.send(m.QUEUE_BIND, name, "amq.topic", "all", False, {})
        # What there must be: copies in queues, unacknowledged or dead.
        self.copies: dict[int, int] = {}
        self.number = 0
        self.confirmed = 0
        self.held: dict[int, dict[int, int]] = {1: {}, 2: {}}
        self.events()

    def send(self, method: m.Method, *values: object, channel: int = 1) -> None:
        self.connection.data_received(method.frame(channel, *values))

    def events(self) -> None:
        """Take what the broker sent: deliveries are held, confirms counted."""
        expected = None
        for kind, channel, payload in self.pipe.frames:
            if kind == 1:
                method, values = m.decode_method(payload)
                assert method not in (m.CHANNEL_CLOSE, m.CONNECTION_CLOSE), values
                if method is m.BASIC_DELIVER:
                    expected = values[1]
                elif method is m.BASIC_GET_OK:
                    expected = values[0]
                elif method is m.BASIC_ACK:
                    self.confirmed = values[0]
            elif kind == 3:
                self.held[channel][expected] = int(payload)
        self.pipe.frames.clear()

    @rule(key=st.sampled_from(["a.x", "b", "c.y.z", "all", "none"]))
    def publish(self, key: str) -> None:
        self.number += 1
        self.copies[self.number] = {"all": 3, "none": 0}.get(key, 1)
        body = b"%d" % self.number
        content = encode_content(1, encode_properties({"priority": 1}), body, 131072)
        self.connection.data_received(m.BASIC_PUBLISH.frame(1, "amq.topic", key, False, False) + content)
        self.events()
        assert self.confirmed == self.number

    @rule(queue=st.sampled_from((*QUEUES, DEAD)), channel=st.integers(1, 2))
    def get(self, queue: str, channel: int) -> None:
        self.send(m.BASIC_GET, queue, False, channel=channel)
        self.events()

    @rule(queue=st.sampled_from(QUEUES), channel=st.integers(1, 2), limit=st.integers(1, 3))
    def consume(self, queue: str, channel: int, limit: int) -> None:
        self.send(m.BASIC_QOS, 0, limit, False, channel=channel)
        self.send(m.BASIC_CANCEL, queue, False, channel=channel)
        self.send(m.BASIC_CONSUME, queue, queue, False, False, False, False, {}, channel=channel)
        self.events()

    @rule(channel=st.integers(1, 2), pick=st.randoms(use_true_random=False), multiple=st.booleans())
    def acknowledge(self, channel: int, pick, multiple: bool) -> None:
        for number in self._settled(channel, pick, multiple, m.BASIC_ACK):
            self.copies[number] -= 1

    @rule(channel=st.integers(1, 2), pick=st.randoms(use_true_random=False), multiple=st.booleans())
    def requeue(self, channel: int, pick, multiple: bool) -> None:
        self._settled(channel, pick, multiple, m.BASIC_NACK, True)

    @rule(channel=st.integers(1, 2), pick=st.randoms(use_true_random=False))
    def recover(self, channel: int, pick) -> None:
        self.held[channel].clear()
        self.send(m.BASIC_RECOVER, True, channel=channel)
        self.events()

    @rule()
    def reopen(self) -> None:
        self.held[2].clear()
        self.send(m.CHANNEL_CLOSE, 200, "", 0, 0, channel=2)
        self.send(m.CHANNEL_OPEN, channel=2)
        self.events()

    def _settled(self, channel: int, pick, multiple: bool, method: m.Method, *more: object) -> list[int]:
        held = self.held[channel]
        if not held:
            return []
        tag = pick.choice(sorted(held))
        settled = [known for known in held if known <= tag] if multiple else [tag]
        numbers = [held.pop(known) for known in settled]
        self.send(method, tag, multiple, *more, channel=channel)
        self.events()
        return numbers

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        found: dict[int, int] = {}
        for queue in self.house.broker.vhosts["/"].queues.values():
            positions = [entry.position for entry in queue.backlog]
            assert positions == sorted(positions), "the order was lost"
            for entry in queue.backlog:
                number = int(entry.message.body)
                found[number] = found.get(number, 0) + 1
        for held in self.held.values():
            for number in held.values():
                found[number] = found.get(number, 0) + 1
        assert found == {number: count for number, count in self.copies.items() if count}

    @invariant()
    def the_memory_is_accounted_for(self) -> None:
        broker = self.house.broker
        waiting = sum(entry.message.size for queue in broker.vhosts["/"].queues.values() for entry in queue.backlog)
        held = sum(
            entry.message.size
            for channel in self.connection.channels.values()
            for _, _, entry, _ in channel.unacked.values()
        )
        assert broker.memory == waiting + held

    def teardown(self) -> None:
        self.house.close()


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
