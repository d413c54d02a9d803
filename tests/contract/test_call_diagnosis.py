"""Why a call had no answer, and what Ctrl-C does to it: told apart by asking the workers, with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from terminal import Terminal, ctrl

from mpcli.errors import EncodingFailed, NoReply, RemoteError
from mpcli.verbs.call import call_task
from mpcli.wire.control import Control
from mpcli.wire.handshake import connect
from tests.contract.conftest import KINDS, Broker

APP = """
import os, time
from pathlib import Path

from celery import Celery
from kombu import Exchange, Queue

service = os.environ["SERVICE"]
app = Celery(service, broker=os.environ["URL"], backend=os.environ.get("BACKEND"))
app.conf.task_queues = [Queue(f"{service}.sync", Exchange(service, type="topic"), routing_key=f"{service}.sync.#")]


@app.task(name=f"{service}.sync.wait")
def wait(file):
    Path(file).with_suffix(".begun").touch()
    while not Path(file).exists():
        time.sleep(0.02)


@app.task(name=f"{service}.sync.odd")
def odd():
    return object()
"""
MP = str(Path(sys.executable).parent / "mp")


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Place:
    """A broker with two services: mpready, one task at a time, and mpmute, which has no result backend."""

    def __init__(self, broker, folder):
        self.broker, self.folder = broker, folder
        (folder / "plain.py").write_text(APP)
        self.workers = [self.start("mpready", BACKEND="rpc://"), self.start("mpmute")]

    def start(self, service, **more):
        options = ["-P", "prefork", "-c", "1", "--prefetch-multiplier", "1", "--without-gossip", "--without-mingle"]
        with open(self.folder / f"{service}.log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "plain", "worker", *options, "-n", f"{service}@h", "-l", "INFO"],
                cwd=self.folder, env={**os.environ, "URL": self.broker.url, "SERVICE": service, **more},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self):
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(10)

    def consumers(self, queue):
        with connect(self.broker.url) as connection:
            return Control(connection).survey(queue).consumers

    def call(self, task, *, timeout=0.5, **kwargs):
        return call_task(task, [], kwargs, timeout=timeout, start=str(self.folder), url=self.broker.url)

    def mp(self, *words):
        environ = {**os.environ, "MP_SYNC_URL": self.broker.url, "MP_ASYNC_URL": self.broker.url}
        return subprocess.Popen(
            [MP, "call", *words], env=environ, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def left(self):
        """The queues and their messages, without those that Celery's workers make for themselves, also when they are
        told to revoke (`Control.revoke`): a UUID of version 3 is the name of one for results."""
        own = re.compile(r".*celery\.pidbox|[0-9a-f]{8}-[0-9a-f]{4}-3[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
        return {name: count for name, count in self.broker.queues().items() if not own.fullmatch(name)}

    def begun(self, file):
        """Let a call of mpready begin that ends when the file is there."""
        file.with_suffix(".begun").unlink(missing_ok=True)
        process = self.mp("mpready.sync.wait", f"file={file}", "--timeout", "60")
        until(file.with_suffix(".begun").exists)
        return process


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    server = request.getfixturevalue(f"{request.param}_server")
    vhost = f"diagnosis-{uuid.uuid4().hex[:12]}"
    server.add_vhost(vhost)
    place = Place(Broker(request.param, vhost, server), tmp_path_factory.mktemp("diagnosis"))
    try:
        until(lambda: all(place.consumers(f"{name}.sync") for name in ("mpready", "mpmute")))
        yield place
    finally:
        place.stop()
        server.delete_vhost(vhost)


@pytest.fixture(autouse=True)
def nothing_left(place):
    """After each test there are the services' queues, empty, and none of ours."""
    yield
    until(lambda: place.left() == {"mpready.sync": 0, "mpmute.sync": 0})


def interrupted(process):
    """What it says when it is told to stop, by a Ctrl-C that comes when it has begun to wait."""
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert len(stderr.splitlines()) <= 2
    return stderr


def test_a_slow_call_a_busy_worker_and_ctrl_c(place, tmp_path):
    end, never = tmp_path / "end", tmp_path / "never"
    with pytest.raises(NoReply, match=r"it is slow; the worker mpready@h has been running it since \d\d:\d\d:\d\d \("):
        place.call("mpready.sync.wait", file=str(end), timeout=3)
    with pytest.raises(
        NoReply, match=r"1 worker is listening on mpready\.sync, busy: mpready@h runs mpready\.sync\.wait"
    ):
        place.call("mpready.sync.wait", file=str(never))
    # The worker has fetched that call, and this one still waits in the queue: neither will run.
    waiting = place.mp("mpready.sync.wait", f"file={never}", "--timeout", "60")
    until(lambda: place.broker.queues()["mpready.sync"] == 2)
    assert "had not begun and will not run, for it was revoked" in interrupted(waiting)
    end.touch()

    end = tmp_path / "second end"
    running = place.begun(end)
    stderr = interrupted(running)
    assert "mpready.sync.wait had begun, runs on, and its result is lost" in stderr
    assert "mpready@h has been running it since" in stderr
    end.touch()
    assert place.call("mpready.sync.wait", file=str(end), timeout=30).value is None
    assert not never.with_suffix(".begun").exists()


def test_ctrl_c_in_a_terminal(place, tmp_path):
    end = tmp_path / "end"
    environ = {**os.environ, "MP_SYNC_URL": place.broker.url}
    words = [MP, "call", "mpready.sync.wait", f"file={end}", "--timeout", "60"]
    with Terminal(words, place.folder, environ, columns=160) as terminal:
        terminal.see("mp: mpready.sync.wait runs on mpready@h since")  # a person is told while the call lasts
        terminal.send(ctrl("c"))
        assert terminal.wait() == 130
        _, *lines = [line for line in terminal.lines if line]
    assert lines[0] == "^C"
    assert lines[1] == "mp: interrupted: mpready.sync.wait had begun, runs on, and its result is lost"
    assert lines[2].startswith("    the worker mpready@h has been running it since")
    assert len(lines) == 3
    end.touch()


def test_a_person_is_told_what_a_busy_worker_does_and_gets_the_result(place, tmp_path):
    end = tmp_path / "end"
    running = place.begun(end)
    environ = {**os.environ, "MP_SYNC_URL": place.broker.url}
    with Terminal([MP, "call", "mpready.sync.wait", f"file={end}"], place.folder, environ, columns=160) as terminal:
        terminal.see("mp: mpready.sync.wait waits, for mpready.sync is busy: mpready@h runs mpready.sync.wait since")
        end.touch()
        assert terminal.wait() == 0
        assert terminal.lines[1] == "null"
    assert running.communicate(timeout=30) == ("null\n", "")


def test_a_worker_that_answers_nobody(place, tmp_path):
    with pytest.raises(NoReply) as mute:
        place.call("mpmute.sync.odd")
    assert "none will come: the worker mpmute@h has no result backend" in mute.value.message
    assert "rpc://" in mute.value.hint


def test_what_has_no_json_form_either_way(place):
    with pytest.raises(RemoteError) as raised:
        place.call("mpready.sync.odd", timeout=30)
    assert raised.value.hint == "the task ran, but what it returned has no JSON form"
    with pytest.raises(EncodingFailed, match=r"mpready\.sync\.wait: file \(object\) has no JSON form"):
        place.call("mpready.sync.wait", file=object())


def test_ctrl_c_while_nobody_listens(place):
    from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE, QUEUE_DELETE

    with connect(place.broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mpnobody", "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "mpnobody.sync", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mpnobody.sync", "mpnobody", "mpnobody.sync.#", False, {})
        process = place.mp("mpnobody.sync.x", "--timeout", "60")
        assert "nobody is listening" in process.stderr.readline()
        stderr = interrupted(process)
        assert "had not begun, for nobody is listening on mpnobody.sync; else it expires in" in stderr
        connection.request(QUEUE_DELETE, "mpnobody.sync", False, False, False)
