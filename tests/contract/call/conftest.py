"""A broker with services for `mp call` to fail on, each set up in its own way; plain Celery, in one process each."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest

from mpcli.wire.control import Control
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from tests.contract.conftest import KINDS, Broker

# Also the source that arguments are checked against. All know the tasks of all, as in one repository for many services.
# Celery is imported once and the workers are forked from there.
SERVICES = """
import os, time
from datetime import datetime
from pathlib import Path

import celery.apps.worker, celery.backends.rpc, celery.bin.celery, celery.concurrency.prefork, celery.concurrency.solo
import celery.worker.consumer, celery.worker.control, kombu.transport.pyamqp
from celery import Celery
from kombu import Exchange, Queue


def service(name, *modes, **settings):
    app = Celery(name, broker=os.environ["URL"])
    exchange = Exchange(name, type="topic")
    app.conf.task_queues = [Queue(f"{name}.{mode}", exchange, routing_key=f"{name}.{mode}.#") for mode in modes]
    app.conf.update(settings)
    return app


mpready = service("mpready", "sync", result_backend="rpc://")
mpmute = service("mpmute", "sync", "async")
mpkeep = service("mpkeep", "sync", result_backend="cache+memory://")
mppickle = service("mppickle", "sync", result_backend="rpc://", result_serializer="pickle")
mpdeaf = service("mpdeaf", "sync", result_backend="rpc://", accept_content=["pickle"])


@mpready.task(name="mpready.sync.wait")
def wait(file: str):
    Path(file).with_suffix(".begun").touch()
    while not Path(file).exists():
        time.sleep(0.02)


@mpready.task(name="mpready.sync.register")
def register(user_obj, note="none"):
    return {"user": user_obj, "note": note}


@mpready.task(name="mpready.sync.now")
def now():
    return [datetime(2026, 1, 2), b"x"]


@mpready.task(name="mpready.sync.odd")
def odd():
    return object()


@mpready.task(name="mpready.sync.fail")
def fail():
    raise ValueError("bad \\x1b[31m thing")


def x():
    pass


for app in (mpmute, mpkeep, mppickle, mpdeaf):
    app.task(x, name=f"{app.main}.sync.x")


@mpmute.task(name="mpmute.async.write")
def write(path, text):
    Path(path).write_text(text)


for app in (mpready, mpmute, mpkeep, mppickle, mpdeaf):
    if not os.fork():
        pool = ["prefork", "-c", "1", "--prefetch-multiplier", "1"] if app is mpready else ["solo"]
        app.worker_main(["worker", "-n", f"{app.main}@h", "--without-gossip", "--without-mingle", "-P", *pool])
        os._exit(0)
os.wait()
"""
QUEUES = ("mpready.sync", "mpmute.sync", "mpmute.async", "mpkeep.sync", "mppickle.sync", "mpdeaf.sync")
ANSWERING = [queue for queue in QUEUES if queue != "mpdeaf.sync"]
MP = str(Path(sys.executable).parent / "mp")
# What Celery's workers make for themselves, also when they are told to revoke (`Control.revoke`): a UUID of version 3
# is the name of a queue for results.
CELERYS_OWN = re.compile(r".*celery\.pidbox|[0-9a-f]{8}-[0-9a-f]{4}-3[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Ended(NamedTuple):
    """What came of a process."""

    code: int
    output: str
    errors: str


# What `mp` rightly says when workers, or the broker, take longer than the tenths of a second that it gives them, or
# when Ctrl-C comes in the instant before it waits for the reply: on a busy machine.
_TOO_SLOW = re.compile(
    "not answer|runs nothing now|not every worker could|before the broker answered|has begun is not known"
)


def told_in_time(attempt, unless="nothing"):
    """How `attempt` ended, made again for as long as the machine is too busy for it, `unless` that is what it says."""
    deadline = time.monotonic() + 60
    while True:
        ended = attempt()
        told = ended.output + ended.errors
        if not _TOO_SLOW.search(told) or re.search(unless, told) or time.monotonic() > deadline:
            return ended


class Place:
    """The broker, the folder of a platform in whose source `mpready` is, and the workers."""

    def __init__(self, broker, folder, run_folder):
        self.broker, self.folder = broker, folder
        self.environ = {
            **os.environ,
            "MP_TEST_RUN": str(run_folder),
            "MP_SYNC_URL": broker.url,
            "MP_ASYNC_URL": broker.url,
        }
        self.gates = []
        (folder / "mp.toml").touch()
        (folder / "mpready").mkdir()
        (folder / "mpready" / "pyproject.toml").write_text(
            '[tool.mpcli]\nservice = "mpready"\nsync = "services:mpready"\n'
        )
        (folder / "mpready" / "services.py").write_text(SERVICES)
        with open(folder / "workers.log", "wb") as log:
            self.workers = subprocess.Popen(
                [sys.executable, "services.py"], cwd=folder / "mpready", stdout=log, stderr=log,
                env={**self.environ, "URL": broker.url, "C_FORCE_ROOT": "1"}, start_new_session=True,
            )  # fmt: skip

    def declare(self):
        """What no worker serves: a queue, and one that is not bound."""
        with connect(self.broker.url) as connection:
            for service in ("mpnobody", "mploose"):
                connection.request(EXCHANGE_DECLARE, service, "topic", False, True, False, False, False, {})
                connection.request(QUEUE_DECLARE, f"{service}.sync", False, True, False, False, False, {})
            connection.request(QUEUE_DECLARE, "mploose.async", False, True, False, False, False, {})
            connection.request(QUEUE_BIND, "mpnobody.sync", "mpnobody", "mpnobody.sync.#", False, {})
        self.empty = dict.fromkeys((*QUEUES, "mpnobody.sync", "mploose.sync", "mploose.async"), 0)

    def write_later(self):
        """A task in the source that the workers, which have begun, do not know."""
        with open(self.folder / "mpready" / "services.py", "a") as source:
            source.write('\n\n@mpready.task(name="mpready.sync.later")\ndef later():\n    pass\n')

    def is_ready(self):
        assert self.workers.poll() is None, (self.folder / "workers.log").read_text()
        with connect(self.broker.url) as connection:
            control = Control(connection)
            return control.survey("mpdeaf.sync", 0).consumers and all(
                control.listeners(one).complete for one in ANSWERING
            )

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.workers.pid, signal.SIGKILL)
        self.workers.wait(30)

    def mp(self, words, stdin=subprocess.DEVNULL, **environ):
        """Start `mp call` with these words."""
        return subprocess.Popen(
            [MP, "call", *shlex.split(words)], env=self.environ | environ, cwd=self.folder, text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ended(self, words, lines=None, **environ):
        """Run `mp call` with these words, and with these lines in a pipe."""
        return finish(self.mp(words, subprocess.DEVNULL if lines is None else subprocess.PIPE, **environ), lines)

    def result(self, words, **more):
        """What a call that ends well prints."""
        code, output, errors = finish(self.mp(words, **more))
        assert (code, errors) == (0, "")
        return json.loads(output)

    def gate(self):
        """A file for `mpready.sync.wait` to wait for: made at the end of the test, if the test does not do it."""
        self.gates.append(self.folder / f"{uuid.uuid4().hex}.gate")
        return self.gates[-1]

    def begun(self, gate):
        """Let a call begin that ends when the gate is there."""
        process = self.mp(f"mpready.sync.wait file={gate} --timeout 300")
        until(lambda: has_begun(gate) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    @contextlib.contextmanager
    def busy(self):
        """Meanwhile the one process of `mpready` runs a task; that one ends well."""
        gate = self.gate()
        process = self.begun(gate)
        yield
        gate.touch()
        assert finish(process) == (0, "null\n", "")

    def left(self):
        """The queues and their messages, without those that are Celery's own."""
        return {name: count for name, count in self.broker.queues().items() if not CELERYS_OWN.fullmatch(name)}

    def exchanges(self):
        """The same of the exchanges."""
        return {name for name in self.broker.exchanges() if not CELERYS_OWN.fullmatch(name)}

    def is_idle(self):
        """Whether nothing runs and nothing waits."""
        with connect(self.broker.url) as connection:
            if Control(connection).active(["mpready@h"]).get("mpready@h") != []:
                return False
        return self.left() == self.empty


def finish(process, lines=None):
    """Wait for its end."""
    try:
        output, errors = process.communicate(lines, timeout=100)
    finally:
        process.kill()
    return Ended(process.returncode, output, errors)


def has_begun(gate):
    return gate.with_suffix(".begun").exists()


@pytest.fixture(scope="package", params=KINDS)
def services(request, tmp_path_factory, run_folder):
    """The `Place`, with its workers."""
    server = request.getfixturevalue(f"{request.param}_server")
    vhost = f"call-{uuid.uuid4().hex[:12]}"
    server.add_vhost(vhost)
    place = Place(Broker(request.param, vhost, server), tmp_path_factory.mktemp("call"), run_folder)
    try:
        place.declare()
        until(place.is_ready)
        place.write_later()
        yield place
    finally:
        place.stop()
        server.delete_vhost(vhost)


@pytest.fixture
def place(services):
    """The `Place`; after each test, also one that failed, nothing runs there, and none of our queues or exchanges is
    left."""
    before = services.exchanges()
    yield services
    for gate in services.gates:
        gate.touch()
    services.gates.clear()
    until(services.is_idle)
    assert services.exchanges() == before
