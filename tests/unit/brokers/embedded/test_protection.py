"""What a client cannot do to the others: limits, memory, garbage."""

from __future__ import annotations

import logging
import os
import random
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from amqp import Connection, Message
from amqp_client import Client
from celery import Celery

from mpcli.brokers.embedded import DevBroker
from mpcli.brokers.embedded.limits import Limits
from mpcli.errors import BrokerUnavailable
from mpcli.wire import methods as m
from mpcli.wire.frames import FRAME_OVERHEAD, PROTOCOL_HEADER, encode_content

DOUBLER = """
import os
from celery import Celery

app = Celery(broker=os.environ["BROKER"], backend="rpc://")
app.conf.broker_connection_max_retries = 1


@app.task(name="double")
def double(number):
    return number * 2
"""


@pytest.fixture(autouse=True)
def enough_open_files() -> Iterator[None]:
    """Both ends of 500 connections are in this process; a user's usual limit is 1024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard > 0 else 4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def broker() -> Iterator[DevBroker]:
    with DevBroker(limits=Limits(memory=300_000, connections=600)) as broker:
        yield broker


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Open connections; they are closed at the end."""
    opened: list[Connection] = []

    def open_one(broker: DevBroker, **options: object) -> Connection:
        connection = Connection(f"127.0.0.1:{broker.port}", **options)
        opened.append(connection)
        connection.connect()
        return connection

    yield open_one
    for connection in opened:
        connection.collect()


def drain(connection: Connection, until, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        try:
            connection.drain_events(timeout=0.1)
        except TimeoutError:
            continue


def test_publishers_wait_while_the_broker_is_full_and_nothing_is_lost(broker: DevBroker, connect) -> None:
    told: list[str] = []
    publisher = connect(broker, on_blocked=told.append, on_unblocked=lambda: told.append("unblocked"))
    consumer = connect(broker)
    channel = publisher.channel()
    channel.queue_declare("q", auto_delete=False)
    for _ in range(60):
        channel.basic_publish(Message(bytes(10_000)), "", "q")
    drain(publisher, lambda: told)
    assert len(told) == 1
    # How many exactly depends on how the stream was cut when the mark was passed.
    assert 20 < broker.queues()["q"] < 60, "the rest waits in the socket"
    taken: list[object] = []
    consumer.channel().basic_consume("q", no_ack=True, callback=taken.append)
    drain(consumer, lambda: len(taken) == 60)
    drain(publisher, lambda: told[-1] == "unblocked")


def test_a_publish_to_many_queues_does_not_outrun_the_mark() -> None:
    queues, publishers, times = [f"q{number}" for number in range(50)], 4, 100
    mark, one_publish = 300_000, 50 * 1000
    with ExitStack() as stack:
        broker = stack.enter_context(DevBroker(limits=Limits(memory=mark)))

        def client() -> Client:
            client = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
            stack.callback(client.close)
            client.open()
            return client

        consumer, clients = client(), [client() for _ in range(publishers)]
        for queue in queues:
            consumer.queue(queue)
            consumer.bind(queue, "amq.fanout")
        for number, publisher in enumerate(clients):
            publish = m.BASIC_PUBLISH.frame(1, "amq.fanout", "", False, False)
            bodies = (b"%d %d" % (number, count) for count in range(times))
            # All in one write, as a client does that waits for nothing.
            publisher.send_bytes(b"".join(publish + encode_content(1, b"\0\0", body, 131072) for body in bodies))
        for publisher in clients:
            publisher.expect("connection.blocked")
        assert mark <= broker._ask(lambda inside: inside.memory) < mark + publishers * one_publish
        for queue in queues:
            consumer.consume(queue, queue, no_ack=True)
        got: dict[str, list[bytes]] = {queue: [] for queue in queues}
        for _ in range(len(queues) * publishers * times):
            event = consumer.expect("basic.deliver")
            got[event.values[0]].append(event.body)
        for number, publisher in enumerate(clients):
            mine = [b"%d %d" % (number, count) for count in range(times)]
            assert all([body for body in bodies if body.startswith(b"%d " % number)] == mine for bodies in got.values())
            assert publisher.expect("connection.unblocked")
            publisher.settled()
        assert broker._ask(lambda inside: inside.memory) == 0


def test_a_publisher_that_waits_for_room_is_heard_when_it_answers_the_administrator() -> None:
    # As with RabbitMQ. The broker would wait for the answer longer than the test for the end.
    with DevBroker(limits=Limits(memory=1000, closing=600)) as broker:
        publisher = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        publisher.open()
        publisher.queue("q")
        publisher.publish("", "q", bytes(1000))
        publisher.expect("connection.blocked")
        publisher.publish("", "q", b"not heard any more")
        broker.close_connections()
        assert publisher.refused().code == 320
        publisher.send(0, m.CONNECTION_CLOSE_OK)
        publisher.end()
        assert broker.queues() == {"q": 1}
        publisher.close()


def test_what_comes_in_part_on_many_channels_has_a_bound() -> None:
    body, frame, most = bytes(900_000), 100_000, 1_000_000
    with DevBroker(limits=Limits(memory=most, message=most)) as broker:
        client = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        messages = [
            m.BASIC_PUBLISH.frame(channel, "", "nowhere", False, False)
            + encode_content(channel, b"\0\0", body, frame + FRAME_OVERHEAD)
            for channel in (1, 2, 3, 4)
        ]
        rest = 3 * (frame + FRAME_OVERHEAD)
        for channel in (1, 2, 3, 4):
            client.open(channel)
        for _ in range(3):  # 1.8 MB in part, again and again
            client.send_bytes(b"".join(message[:-rest] for message in messages[:3]))
            client.send_bytes(b"".join(message[-rest:] for message in messages[:3]))
            client.settled()
        client.send_bytes(b"".join(message[:-rest] for message in messages))
        refusal = client.refused()
        assert (refusal.scope, refusal.code, refusal.method) == ("connection", 506, (60, 40))
        client.close()


def test_a_consumer_that_does_not_read_does_not_fill_the_memory(broker: DevBroker, connect) -> None:
    slow = connect(broker)
    slow.channel().queue_declare("q", auto_delete=False)
    slow.channels[1].basic_consume("q", no_ack=True)
    publisher = connect(broker)
    channel = publisher.channel()
    channel.confirm_select()
    for _ in range(100):
        channel.basic_publish_confirm(Message(bytes(100_000)), "", "q")
        if broker.queues()["q"]:
            break
    assert broker.queues()["q"], "what the socket does not take stays in the queue"


def test_who_asks_and_does_not_read_is_not_listened_to_until_it_does() -> None:
    # Each of these, of 44 bytes, is answered with a megabyte.
    times, size, unread = 60, 1_000_000, 8_000_000
    ask = m.BASIC_GET.frame(1, "q", False) + m.BASIC_NACK.frame(1, 0, True, True)
    with DevBroker(limits=Limits(unread=unread)) as broker:
        client = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        client.open()
        client.queue("q")
        client.publish("", "q", bytes(size))
        client.settled()
        client.send_bytes(ask * times)
        other = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        other.open()
        for _ in range(20):
            other.queue("another")
            assert waiting_to_be_read(broker) < unread + 2 * size
        answers = [client.expect("basic.get-ok") for _ in range(times)]
        assert {len(answer.body) for answer in answers} == {size}
        assert [answer.values[0] for answer in answers] == list(range(1, times + 1))
        client.settled()
        client.close()
        other.close()


def waiting_to_be_read(broker: DevBroker) -> int:
    """Bytes that the broker keeps for clients that do not read."""
    return broker._ask(lambda inside: sum(c.transport.get_write_buffer_size() for c in inside.connections))


def test_five_hundred_connections_and_garbage_disturb_nobody(broker: DevBroker, connect) -> None:
    connection = connect(broker)
    channel = connection.channel()
    channel.queue_declare("q", exclusive=True)
    noise = random.Random(7)
    with ExitStack() as stack:
        for number in range(500):
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", broker.port), timeout=60))
            stream.sendall((b"", PROTOCOL_HEADER, PROTOCOL_HEADER[:3])[number % 3] + noise.randbytes(number % 50))
        started = time.monotonic()
        for _ in range(20):
            channel.basic_publish(Message("x"), "", "q")
            assert channel.basic_get("q", no_ack=True).body == "x"
        assert time.monotonic() - started < 30


def _rude(port: int, stop: threading.Event, turns: list[int]) -> None:
    """Garbage, half a frame, a frame too large and 500 connections, again and again."""
    noise = random.Random(11)
    what = (
        noise.randbytes(5_000),
        PROTOCOL_HEADER + b"\x01\x00\x00\x00\x00\x01\x00half of a frame",
        PROTOCOL_HEADER + b"\x01\x00\x00\x7f\xff\xff\xff" + bytes(200_000),
        PROTOCOL_HEADER,
    )
    while not stop.is_set():
        with ExitStack() as stack:
            for number in range(500):
                stream = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
                with suppress(OSError):  # what is cut off in the middle of its writing was served right
                    stream.sendall(what[number % len(what)])
            turns.append(1)


@pytest.mark.timeout(300)
def test_a_rude_client_does_not_disturb_a_celery_call(
    broker: DevBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "doubler.py").write_text(DOUBLER)
    app = Celery(broker=broker.url, backend="rpc://", set_as_current=False)
    environment = {**os.environ, "BROKER": broker.url, "PYTHONPATH": str(tmp_path)}
    argv = ["-A", "doubler", "worker", "-P", "solo", "-l", "warning"]
    stop, turns = threading.Event(), []
    rude = threading.Thread(target=_rude, args=(broker.port, stop, turns))
    worker = subprocess.Popen([sys.executable, "-m", "celery", *argv], env=environment)
    try:
        assert app.send_task("double", (1,)).get(timeout=60) == 2
        rude.start()
        calls, deadline = 0, time.monotonic() + 200
        while len(turns) < 3 or calls < 50:
            assert time.monotonic() < deadline
            assert app.send_task("double", (calls,)).get(timeout=60) == 2 * calls
            calls += 1
        assert worker.poll() is None
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    finally:
        stop.set()
        if rude.ident:
            rude.join(60)
        worker.kill()
        worker.wait()
        app.backend.result_consumer.stop()
        app.pool.force_close_all()
        app.close()


def test_who_does_not_finish_the_handshake_is_cut_off() -> None:
    with (
        DevBroker(limits=Limits(handshake=1.0)) as broker,
        socket.create_connection(("127.0.0.1", broker.port), timeout=60) as stream,
    ):
        stream.sendall(PROTOCOL_HEADER)
        while stream.recv(65536):
            pass


def test_more_connections_than_allowed_are_cut_off(connect) -> None:
    with DevBroker(limits=Limits(connections=2)) as broker:
        for _ in range(2):
            connect(broker)
        with pytest.raises(OSError, match=r".*"):
            connect(broker, connect_timeout=60)


def test_other_machines_need_a_password() -> None:
    import asyncio

    from mpcli.brokers.embedded.server import serve

    with pytest.raises(BrokerUnavailable, match="the password is the default one"):
        asyncio.run(serve("0.0.0.0"))


def test_a_taken_port_is_told(broker: DevBroker) -> None:
    with pytest.raises(BrokerUnavailable, match=f"cannot listen on 127.0.0.1:{broker.port}"):
        DevBroker(port=broker.port).start()


def test_a_message_above_the_limit_is_refused_and_not_kept(connect) -> None:
    with DevBroker(limits=Limits(message=1000)) as broker:
        channel = connect(broker).channel()
        channel.confirm_select()
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish_confirm(Message(bytes(1000)), "", "q")
        with pytest.raises(Exception, match="message size 300000 is larger than configured max size 1000"):
            channel.basic_publish_confirm(Message(bytes(300_000)), "", "q")
        assert broker.queues() == {"q": 1}
