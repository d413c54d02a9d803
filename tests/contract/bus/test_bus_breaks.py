"""What goes away: brokers, connections, workers, the patience of callers, the process itself by a fork."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mpcli.bus import Caller
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerRefused, BrokerUnreachable, NoReply, RemoteError, UnknownService
from tests.contract.bus.conftest import told_in_time


def test_a_fork_after_use_leaves_both_sides_working(platform):
    platform.start("services:alpha_sync", processes=1)
    assert platform.caller.call("mpalpha.sync.add", 1) == 2
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest may run here
        try:
            results = [platform.caller.call("mpalpha.sync.add", number) for number in range(3)]
            os.write(write, repr(results).encode())
        finally:
            os._exit(0)
    os.close(write)
    assert platform.caller.call("mpalpha.sync.add", 5) == 6
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "[1, 2, 3]"
    assert platform.caller.call("mpalpha.sync.add", 6) == 7


def test_an_idle_gap_that_ends_the_connection(platform, until_true):
    platform.start("services:alpha_sync", processes=1)
    for number in range(4):
        assert platform.caller.call("mpalpha.sync.add", number) == number + 1
        platform.close_connections()
        until_true(lambda: _listening(platform, "mpalpha.sync"), "the worker is back", 60)


def _listening(platform, queue):
    from mpcli.bus.connecting import connect

    connection = connect(platform.urls[Mode.SYNC])
    try:
        return connection.channel().queue_declare(queue, passive=True).consumer_count
    finally:
        connection.close()


def test_a_call_in_flight_is_told_of_the_break(platform, until_true):
    platform.declare("mpalpha")
    errors: list[BaseException] = []

    def call() -> None:
        try:
            platform.caller.call("mpalpha.sync.add", 1)
        except BrokerUnreachable as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    until_true(lambda: platform.queues(Mode.SYNC).get("mpalpha.sync"), "the call is in the queue")
    platform.close_connections()
    thread.join(30)  # half of the caller's patience
    assert not thread.is_alive()
    assert "whether the task ran is not known" in errors[0].hint


def test_a_broker_that_is_restarted(own_broker, start_worker, until_true):
    start_worker("services:alpha_sync", "mpalpha.sync", own_broker.url, processes=1)
    with Caller(own_broker.url, own_broker.url) as caller:
        assert caller.call("mpalpha.sync.add", 1) == 2
        own_broker.restart()

        def again() -> bool:
            try:
                return caller.with_options(timeout=2).call("mpalpha.sync.add", 1) == 2
            except (BrokerUnreachable, NoReply, UnknownService):
                return False

        until_true(again, "the call works again", 60)


def test_no_broker_is_told_long_before_the_patience_ends():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        url = f"amqp://a:secret-password@127.0.0.1:{taken.getsockname()[1]}//"
        with Caller(url, url, timeout=60) as caller:
            started = time.monotonic()
            with pytest.raises(BrokerUnreachable) as caught:
                caller.call("mpalpha.sync.add", 1)
            with pytest.raises(BrokerUnreachable):
                caller.send("mpalpha.async.add", 1)
            assert time.monotonic() - started < 20
            assert "secret-password" not in str(caught.value)


def test_something_else_answers_at_the_port():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(8)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40)
                peer.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"amqp://127.0.0.1:{server.getsockname()[1]}//"
        with Caller(url, url) as caller, pytest.raises(BrokerUnreachable, match="AMQP"):
            caller.call("mpalpha.sync.add", 1)
        thread.join(5)


def test_a_wrong_password_and_a_wrong_vhost(broker):
    for url in (broker.url.replace(f":{broker.password}@", ":wrong@"), broker.url + "-nowhere"):
        with Caller(url, url) as caller, pytest.raises(BrokerRefused, match="refused"):
            caller.call("mpalpha.sync.add", 1)


def test_nobody_listens(platform):
    platform.declare("mpalpha")
    impatient = platform.caller.with_options(timeout=0.5)
    started = time.monotonic()
    errors = [told_in_time(lambda: impatient.call("mpalpha.sync.add", 1))]
    assert time.monotonic() - started >= 0.5
    errors.append(told_in_time(lambda: asyncio.run(impatient.acall("mpalpha.sync.add", 1))))
    for error in errors:
        assert isinstance(error, NoReply)
        assert "nobody is listening on mpalpha.sync" in error.message


def test_a_queue_that_is_missing(platform):
    """The exchange is there, since the service has an async half; its sync queue is not."""
    from mpcli.bus.connecting import connect

    connection = connect(platform.urls[Mode.SYNC])
    connection.channel().exchange_declare("mpalpha", "topic", durable=True, auto_delete=False)
    connection.close()
    with pytest.raises(UnknownService, match=r"its queue mpalpha\.sync is not"):
        platform.caller.call("mpalpha.sync.add", 1)


def test_a_caller_that_gave_up_is_not_served_later(platform, until_true):
    platform.declare("mpalpha")
    impatient = platform.caller.with_options(timeout=0.3)
    assert isinstance(told_in_time(lambda: impatient.call("mpalpha.sync.slow", 0, note="too late")), NoReply)
    platform.start("services:alpha_sync", processes=1)
    assert platform.caller.call("mpalpha.sync.slow", 0, note="in time")
    assert platform.notes() == ["in time"]


def test_a_nested_call_gives_up_with_its_caller(platform, until_true):
    platform.declare("mpbeta")  # and no worker of it
    platform.start("services:alpha_sync", processes=1)
    assert platform.caller.call("mpalpha.sync.add", 1) == 2
    with pytest.raises((NoReply, RemoteError), match="not answer in time"):  # that of the one or of the other
        platform.caller.with_options(timeout=3).call("mpalpha.sync.wait_for_nobody", "gave up after")
    until_true(platform.notes, "the note")
    assert 0.2 < float(platform.notes()[0].rpartition(" ")[2]) < 30  # of the minute that it would have waited


def test_a_busy_worker_hoards_no_call(platform):
    """One worker is busy; the other, free one gets every call."""
    platform.start("services:alpha_sync", "services:alpha_sync", processes=1)
    with platform.busy("busy"):
        assert [platform.caller.call("mpalpha.sync.add", number) for number in range(5)] == [1, 2, 3, 4, 5]


def test_all_workers_busy_is_diagnosed(platform, until_true):
    platform.start("services:alpha_sync", processes=1)
    with ThreadPoolExecutor(1) as pool, platform.busy("busy"):
        waiting = pool.submit(platform.caller.call, "mpalpha.sync.add", 1)
        until_true(lambda: platform.queues(Mode.SYNC)["mpalpha.sync"] == 2, "one runs and one waits")
        error = told_in_time(lambda: platform.caller.with_options(timeout=0.5).call("mpalpha.sync.add", 1))
    assert isinstance(error, NoReply)
    assert "1 worker is listening on mpalpha.sync, busy" in error.message
    assert waiting.result() == 2


def test_a_plain_celery_service_can_be_called(platform):
    platform.start("plain:app", processes=1)
    assert platform.caller.call("mpplain.sync.upper", "abc") == "ABC"
