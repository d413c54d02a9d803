"""Ctrl-C during a call: what becomes of the task is said as it is, with nothing left behind; and what a person sees."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from contextlib import suppress
from time import monotonic

import pytest
from silence import silent_until
from terminal import Terminal, ctrl

from mpcli.wire.handshake import connect
from mpcli.wire.methods import (
    BASIC_CONSUME,
    BASIC_DELIVER,
    EXCHANGE_DECLARE,
    QUEUE_BIND,
    QUEUE_DECLARE,
    QUEUE_PURGE,
)
from tests.contract.call.conftest import MP, Ended, finish, has_begun, told_in_time, until


def interrupt(process):
    """What it says when it is told to stop."""
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert (ended.code, ended.output) == (130, "")
    assert len(ended.errors.splitlines()) <= 2
    return ended


def test_a_call_that_had_begun(place):
    def attempt():
        gate = place.gate()
        ended = interrupt(place.begun(gate))
        gate.touch()
        until(place.is_idle)
        return ended

    errors = told_in_time(attempt).errors
    assert "mpready.sync.wait had begun, runs on, and its result is lost" in errors
    assert "mpready@h has been running it since" in errors


def test_a_call_that_had_not_begun_never_runs(place):
    def attempt():
        gates.append(place.gate())
        with place.busy():
            waiting = place.mp(f"mpready.sync.wait file={gates[-1]} --timeout 300")
            until(lambda: place.broker.queues()["mpready.sync"] == 1)
            ended = interrupt(waiting)
        until(lambda: place.is_idle() or has_begun(gates[-1]))
        gates[-1].touch()  # for one that was not revoked: then it is tried again
        until(place.is_idle)
        return ended

    gates = []
    assert "had not begun and will not run, for it was revoked" in told_in_time(attempt).errors
    assert not has_begun(gates[-1])


def test_the_lines_of_a_batch_are_told_each_what_becomes_of_it(place):
    """The worker has one process: the first line runs, the others wait, and never will."""

    def attempt():
        gates[:] = [place.gate() for _ in range(3)]
        words[:] = ["mpready.sync.wait", "--batch", "--timeout", "300", "--journal", f"{gates[0]}.journal"]
        process = place.mp(shlex.join(words), subprocess.PIPE)
        process.stdin.write(lines())
        process.stdin.flush()
        until(lambda: any(map(has_begun, gates)) and place.broker.queues()["mpready.sync"] == 2)
        process.send_signal(signal.SIGINT)
        ended = finish(process)
        for gate in gates:
            gate.touch()
        until(place.is_idle)
        return ended

    def lines():
        return "".join(json.dumps({"file": str(gate)}) + "\n" for gate in gates)

    gates, words = [], []
    ended = told_in_time(attempt)
    told = {one["line"]: one["error"] for one in map(json.loads, ended.output.splitlines())}
    begun = [line for line, gate in enumerate(gates, 1) if has_begun(gate)]
    assert ended.code == 130
    assert sorted(told) == [1, 2, 3]
    assert len(begun) == 1
    for line, error in told.items():
        assert error["code"] == 130
        if line in begun:
            assert error["message"] == "interrupted: mpready.sync.wait had begun, runs on, and its result is lost"
            assert "kind" not in error
        else:
            assert "had not begun and will not run, for it was revoked" in error["message"]
            assert error["kind"] == "not called"
    # Who repeats the command wants what was not run to be run, and only that.
    again = place.ended(shlex.join(words), lines())
    assert again.code == 0, again
    assert sorted(one["line"] for one in map(json.loads, again.output.splitlines())) == sorted({1, 2, 3} - set(begun))


def test_a_call_that_nobody_hears(place):
    process = place.mp("mpnobody.sync.x --timeout 300")
    assert "nobody is listening" in process.stderr.readline()
    ended = interrupt(process)
    assert "had not begun, for nobody is listening on mpnobody.sync; else it expires in" in ended.errors
    with connect(place.broker.url) as connection:
        connection.request(QUEUE_PURGE, "mpnobody.sync", False)


def test_a_result_that_is_being_printed(place):
    process = place.mp(f"mpready.sync.register user_obj={'x' * 100_000}")
    os.read(process.stdout.fileno(), 1)  # the rest does not fit into the pipe
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert ended.errors == "mp: interrupted: mpready.sync.register had ended already, and its result is thrown away\n"


@pytest.mark.parametrize(
    ("status", "result", "told"),
    [
        ("STARTED", {}, "runs on if it had begun; else it expires in"),  # from a service with `task_track_started`
        ("REVOKED", {"exc_message": ["revoked"]}, "had not begun and will not run, for it was revoked"),
        ("SUCCESS", None, "had ended already"),
    ],
)
def test_what_a_worker_says_while_it_is_asked(place, status, result, told):

    def attempt():
        service = f"mptells{len(services)}"
        services.append(service)
        with connect(place.broker.url) as worker:
            worker.request(EXCHANGE_DECLARE, service, "topic", False, False, True, False, False, {})
            for queue, exchange in ((f"{service}.sync", service), (f"{service}.asked", "celery.pidbox")):
                worker.request(QUEUE_DECLARE, queue, False, False, False, True, False, {})
                worker.request(QUEUE_BIND, queue, exchange, "#", False, {})
                worker.request(BASIC_CONSUME, queue, queue, False, True, False, False, {})
            process = place.mp(f"{service}.sync.x --timeout 300")
            called = delivered(worker, f"{service}.sync", process).properties
            process.send_signal(signal.SIGINT)
            if delivered(worker, f"{service}.asked", process):
                properties = {"correlation_id": called["correlation_id"], "content_type": "application/json"}
                body = json.dumps({"task_id": called["correlation_id"], "status": status, "result": result}).encode()
                worker.send(worker.publish_frames("", called["reply_to"], properties, body, mandatory=False))
            return finish(process)

    services = []
    assert told in told_in_time(attempt, told).errors


def delivered(connection, tag, process):
    """The next message of a consumer; None when the process ended without it."""
    while process.poll() is None:
        with suppress(TimeoutError):
            incoming = connection.receive(monotonic() + 0.2)
            if incoming.method is BASIC_DELIVER and incoming.values[0] == tag:
                return incoming
    return None


def test_before_the_broker_has_answered_it_is_not_known(place):
    gate = place.gate()
    with silent_until(place.broker, lambda: False) as url:
        process = place.mp(f"mpready.sync.wait file={gate} --timeout 300", MP_SYNC_URL=url)
        until(lambda: has_begun(gate))  # the call came through, and mp has heard nothing
        ended = interrupt(process)
    assert ended.errors.splitlines() == [
        "mp: interrupted before the broker answered: whether mpready.sync.wait was called is not known",
        "    if it was, what has begun runs on, and what has not expires in 300 s",
    ]


def test_before_there_is_a_connection_nothing_was_called(place):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):  # nobody is let in any more
            process = place.mp("mpready.sync.odd", MP_SYNC_URL=f"amqp://{address[0]}:{address[1]}")
            until(lambda: is_connecting(address[1]))
            ended = interrupt(process)
    assert ended.errors == "mp: interrupted before there was a connection: mpready.sync.odd was not called\n"


def is_connecting(port):
    """Whether somebody asks for a connection to this port, and has no answer yet."""
    with open("/proc/net/tcp") as connections:
        rows = [line.split() for line in connections][1:]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


def terminal(place, words):
    return Terminal([MP, "call", *words], place.folder, place.environ, columns=160)


def test_ctrl_c_in_a_terminal(place):
    def attempt():
        gate = place.gate()
        with terminal(place, ["mpready.sync.wait", f"file={gate}", "--timeout", "300"]) as screen:
            screen.see("mp: mpready.sync.wait runs on mpready@h since")  # a person is told while the call lasts
            screen.send(ctrl("c"))
            code = screen.wait()
        gate.touch()
        until(place.is_idle)
        return Ended(code, "", screen.text)

    code, _, shown = told_in_time(attempt)
    assert code == 130
    _, *lines = [line for line in shown.splitlines() if line]
    assert lines[0] == "^C"
    assert lines[1] == "mp: interrupted: mpready.sync.wait had begun, runs on, and its result is lost"
    assert lines[2].startswith("    the worker mpready@h has been running it since")
    assert len(lines) == 3


def test_ctrl_c_in_a_batch_that_is_typed(place):
    with terminal(place, ["mpready.sync.register", "--batch"]) as screen:
        screen.send('{"user_obj": 1}\r')
        screen.see('"result": {"user": 1')
        screen.send(ctrl("c"))
        assert screen.wait() == 130
        lines = screen.lines
    assert "^C" in lines
    assert any(line.startswith("mp: 1 line: 1 ok") for line in lines)


def test_a_person_is_told_what_a_busy_worker_does_and_gets_the_result(place):
    gate = place.gate()
    running = place.begun(gate)
    with terminal(place, ["mpready.sync.wait", f"file={gate}", "--timeout", "300"]) as screen:
        screen.see("mp: mpready.sync.wait waits, for mpready.sync is busy: mpready@h runs mpready.sync.wait since")
        gate.touch()
        assert screen.wait() == 0
        assert screen.lines[1] == "null"
    assert finish(running) == (0, "null\n", "")
