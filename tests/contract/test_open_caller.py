"""Many calls over one open connection: whose reply is whose, what a break does, what a deadline says."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from mpcli.bus.naming import TaskName
from mpcli.errors import (
    BrokerRefused,
    BrokerUnreachable,
    NoReply,
    RemoteError,
    UnknownService,
    UnknownTask,
)
from mpcli.wire.celery_message import async_message
from mpcli.wire.handshake import connect
from mpcli.wire.methods import (
    EXCHANGE_DECLARE,
    QUEUE_BIND,
    QUEUE_DECLARE,
)
from mpcli.wire.open_caller import OpenCaller

ECHO = TaskName.parse("mplogin.sync.echo")
MAIL = TaskName.parse("mplogin.async.mail")


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def declare(url, *queues):
    with connect(url) as connection:
        for name in queues:
            service = name.partition(".")[0]
            connection.request(EXCHANGE_DECLARE, service, "topic", False, True, False, False, False, {})
            connection.request(QUEUE_DECLARE, name, False, True, False, False, False, {})
            connection.request(QUEUE_BIND, name, service, f"{name}.#", False, {})


@pytest.fixture
def service(broker, echo_service):
    declare(broker.url, "mplogin.sync", "mplogin.async")
    return echo_service(broker.url)


@pytest.fixture
def caller(broker):
    with OpenCaller(broker.url) as caller:
        yield caller


def call(caller, timeout=60.0, name=ECHO, **kwargs):
    return caller.call(name, [], kwargs, timeout=timeout)


def test_a_thousand_calls_of_eight_threads_each_get_their_own(broker, service, caller):
    answers = {}

    def work(thread):
        for number in range(125):
            answers[thread, number] = call(caller, value=[thread, number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {(thread, number): [thread, number] for thread in range(8) for number in range(125)}
    assert set(broker.queues()) == {"mplogin.sync", "mplogin.async"}


def test_what_fails_fails_alone_and_in_the_words_of_a_cold_call(broker, service, caller):
    held, failing, unknown = (caller.begin(ECHO, [], {"hold": True}, timeout=30) for _ in range(3))
    with pytest.raises(UnknownService, match="there is no service mpnothere on the sync broker"):
        call(caller, name=TaskName.parse("mpnothere.sync.x"))
    with pytest.raises(UnknownService, match="there is no service mpnothere on the async broker"):
        caller.send(TaskName.parse("mpnothere.async.x"), [], {})
    declare(broker.url, "mpother.sync")
    with pytest.raises(UnknownService, match="takes no async tasks"):
        caller.send(TaskName.parse("mpother.async.x"), [], {})
    assert call(caller, value="between") == "between"
    service.release(held.id, "STARTED", result={"pid": 1})
    service.release(failing.id, "FAILURE", result={"exc_type": "ValueError", "exc_message": ["bad"]}, traceback="in x")
    service.release(unknown.id, "FAILURE", result={"exc_type": "NotRegistered", "exc_message": [str(ECHO)]})
    with pytest.raises(RemoteError, match="ValueError: bad"):
        failing.result()
    with pytest.raises(UnknownTask):
        unknown.result()
    assert not held.done
    service.release(held.id, result="late, and not too late")
    assert held.result() == "late, and not too late"


def test_each_has_its_own_deadline_and_learns_why(broker, service, caller):
    declare(broker.url, "mpidle.sync")
    assert call(caller, value=0) == 0  # there is a connection, which takes time of its own
    begun = time.monotonic()
    busy = caller.begin(ECHO, [], {"hold": True}, timeout=0.5)
    longer = caller.begin(ECHO, [], {"hold": True}, timeout=100)
    idle = caller.begin(TaskName.parse("mpidle.sync.x"), [], {}, timeout=0.3, look=True)
    told = []
    with pytest.raises(NoReply, match=r"nobody is listening on mpidle\.sync"):
        idle.result(lambda: told.append(time.monotonic() - begun))
    with pytest.raises(NoReply, match=r"1 worker is listening on mplogin\.sync and does not answer"):
        busy.result()
    assert len(told) == 1
    assert time.monotonic() - begun < 30
    service.release(busy.id, result="too late: nobody may get it")
    service.release(longer.id, result=2)
    assert longer.result() == 2
    assert isinstance(busy.error, NoReply)
    until(lambda: broker.queues()["mpidle.sync"] == 0)


def test_who_is_told_that_nobody_listens_may_give_up(broker, caller):
    declare(broker.url, "mplogin.sync")

    def give_up():
        raise UnknownTask("no such task")

    begun = time.monotonic()
    with pytest.raises(UnknownTask):
        caller.call(ECHO, [], {}, timeout=100, nobody=give_up)
    assert time.monotonic() - begun < 30


def test_a_cancelled_call_lets_the_others_go_on_and_its_reply_is_dropped(service, caller):
    done = queue.Queue()
    cancelled = caller.begin(ECHO, [], {"hold": True}, timeout=30, then=done.put)
    until(lambda: service.held)
    assert cancelled.cancel()
    assert not cancelled.cancel()
    service.release(cancelled.id, result="too late")
    assert call(caller, value=1) == 1
    with pytest.raises(NoReply, match="was cancelled"):
        cancelled.result()
    assert done.get(timeout=30) is cancelled
    assert done.empty()


def test_ctrl_c_breaks_the_wait_of_the_main_thread_and_nothing_else(service, caller):
    other = caller.begin(ECHO, [], {"hold": True}, timeout=60)
    until(lambda: service.held)

    def press():
        until(lambda: len(service.held) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    key = threading.Thread(target=press)

    def call_and_press():
        key.start()
        call(caller, hold=True, timeout=60)

    with pytest.raises(KeyboardInterrupt):
        call_and_press()
    key.join()
    service.release(other.id, result="still here")
    assert other.result() == "still here"


def test_sends_are_confirmed_and_the_broker_has_them(broker, service, caller):
    ids = [caller.send(MAIL, [], {"n": 1})]
    message = async_message(str(MAIL), [2], {})
    posts = [caller.post(MAIL, message), *(caller.post(MAIL, async_message(str(MAIL), [n], {})) for n in range(50))]
    ids += [post.result() for post in posts]
    assert len(set(ids)) == 52
    assert message.id in ids
    until(lambda: broker.queues()["mplogin.async"] == 52)


def test_an_administrator_closes_the_connection_and_the_next_call_opens_another(broker, service, caller, echo_service):
    waiting = caller.begin(ECHO, [], {"hold": True}, timeout=30)
    until(lambda: service.held)
    broker.close_connections()
    with pytest.raises(BrokerUnreachable) as broken:
        waiting.result()
    assert "whether mplogin.sync.echo ran is not known" in broken.value.hint
    echo_service(broker.url)
    assert call(caller, value="again") == "again"


def test_a_broker_that_restarts(own_broker):
    declare(own_broker.url, "mplogin.async", "mplogin.sync")
    with OpenCaller(own_broker.url) as caller:
        caller.send(MAIL, [], {})
        waiting = caller.begin(ECHO, [], {}, timeout=60)
        until(lambda: waiting.sent)
        own_broker.restart()
        with pytest.raises(BrokerUnreachable):
            waiting.result()
        caller.send(MAIL, [], {})
        until(lambda: own_broker.queues()["mplogin.async"] == 2)


@contextmanager
def freezable(broker):
    """A relay that can stop passing anything on without closing, as a network does whose laptop slept."""
    frozen = threading.Event()

    def pump(source, target):
        source.settimeout(0.1)
        while not frozen.is_set():
            try:
                data = source.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            target.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = threading.Event()

        def serve():
            first, _ = server.accept()
            with socket.create_connection((broker.host, broker.port)) as upstream, first:
                back = threading.Thread(target=pump, args=(upstream, first), daemon=True)
                back.start()
                pump(first, upstream)
                back.join(5)
                silent.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], frozen
        silent.set()
        frozen.set()
        thread.join(10)


def test_a_peer_that_falls_silent_fails_what_waits_and_the_next_call_takes_another_host(broker, service):
    with freezable(broker) as (port, frozen):
        login = f"{broker.user}:{broker.password}"
        urls = f"amqp://{login}@127.0.0.1:{port}/{broker.vhost};amqp://{login}@127.0.0.1:{broker.port}/{broker.vhost}"
        with OpenCaller(urls, heartbeat=1) as caller:
            assert call(caller, value=1) == 1
            waiting = caller.begin(ECHO, [], {"hold": True}, timeout=30)
            until(lambda: service.held)
            frozen.set()
            with pytest.raises(BrokerUnreachable, match="silent"):
                waiting.result()
            assert call(caller, value=2, timeout=25) == 2


@contextmanager
def severable(broker):
    """A relay whose connections the test can cut; yields its port and the function that cuts."""
    ends = []

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def serve(server):
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                upstream = socket.create_connection((broker.host, broker.port))
                ends.extend((client, upstream))
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    def cut():
        while ends:
            with suppress(OSError):
                ends.pop().shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1], cut
        cut()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_call_that_is_handed_over_while_the_connection_breaks_is_not_forgotten(broker, service):
    with severable(broker) as (port, cut):
        url = f"amqp://{broker.user}:{broker.password}@127.0.0.1:{port}/{broker.vhost}"
        with OpenCaller(url) as caller:
            for number in range(60):
                under_way = caller.begin(ECHO, [], {"hold": True}, timeout=100)
                until(lambda one=under_way: one.id in service.held)
                cut()
                next_one = caller.begin(ECHO, [], {"value": number}, timeout=100)
                until(lambda one=next_one: one.done)
                assert next_one.value == number or isinstance(next_one.error, BrokerUnreachable)
                until(lambda one=under_way: one.done)


def test_heartbeats_keep_an_idle_connection(broker, service):
    with OpenCaller(broker.url, heartbeat=1) as caller:
        assert call(caller, value=1) == 1
        before = caller._line.connection
        time.sleep(3.5)  # the broker hangs up after two heartbeats that did not come
        assert call(caller, value=2) == 2
        assert caller._line.connection is before


def test_no_broker_and_a_refusal_are_told_at_once(broker):
    with OpenCaller("amqp://127.0.0.1:1") as caller:
        for _ in range(2):
            with pytest.raises(BrokerUnreachable, match="no connection"):
                call(caller)
    with OpenCaller(f"amqp://{broker.user}:wrong@{broker.host}:{broker.port}/{broker.vhost}") as caller:
        with pytest.raises(BrokerRefused) as refused:
            call(caller)
        assert refused.value.code == 403


def test_a_closed_caller_says_so_and_leaves_nobody_waiting(service, broker):
    caller = OpenCaller(broker.url)
    waiting = caller.begin(ECHO, [], {"hold": True}, timeout=30)
    until(lambda: service.held)
    caller.close()
    with pytest.raises(BrokerUnreachable, match="closed by this program"):
        waiting.result()
    with pytest.raises(BrokerUnreachable, match="was closed"):
        call(caller)
    OpenCaller(broker.url).close()
