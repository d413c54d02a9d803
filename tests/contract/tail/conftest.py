"""What watching is tested with: messages as Celery sends them, events as workers do, a running `mp tail`."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import EXCHANGE_DECLARE

DEADLINE = 60.0


def task_message(name: str, *args, task_id: str = "id-1", exchange: str = "mplogin", **kwargs) -> Message:
    headers = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "retries": 0}
    headers |= {"eta": None, "expires": None, "origin": "gen1@host", "argsrepr": repr(args), "kwargsrepr": repr(kwargs)}
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers}
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return Message.build(exchange, name, {**properties, "correlation_id": task_id}, body.encode())


def event_message(what: str, task_id: str = "id-1", **fields) -> Message:
    body = json.dumps(
        [{"type": f"task-{what}", "uuid": task_id, "timestamp": time.time(), "hostname": "w@h", **fields}]
    )
    return Message.build("celeryev", "task.multi", {"content_type": "application/json"}, body.encode())


class Bus:
    """Both brokers with the exchanges of a service and of the workers' events."""

    def __init__(self, brokers) -> None:
        self.brokers = brokers
        self.sync, self.async_ = connect(brokers.sync.url), connect(brokers.async_.url)
        for connection in (self.sync, self.async_):
            for exchange, kind in (("mplogin", "topic"), ("celeryev", "topic"), ("mplogin.dead", "fanout")):
                connection.request(EXCHANGE_DECLARE, exchange, kind, False, True, False, False, False, {})

    def publish(self, *messages: Message, connection: Connection | None = None) -> None:
        connection = connection or self.sync
        connection.send(b"".join(m.publish_frames(1, connection.frame_max, mandatory=False) for m in messages))

    def close(self) -> None:
        self.sync.close()
        self.async_.close()


@pytest.fixture
def bus(brokers) -> Iterator[Bus]:
    bus = Bus(brokers)
    yield bus
    bus.close()


class Tail:
    """A running `mp tail`, ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.notes: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_notes, daemon=True)
        self._reader.start()
        assert self._ready.wait(DEADLINE), self.notes

    def _read_notes(self) -> None:
        for line in self.process.stderr:
            self.notes.append(line)
            if "tapping" in line:
                self._ready.set()

    def lines(self) -> list[str]:
        """What it printed, to its end."""
        timer = threading.Timer(DEADLINE, self.process.kill)
        timer.start()
        out = self.process.stdout.read()
        self.process.wait(DEADLINE)
        timer.cancel()
        self._reader.join(DEADLINE)
        return out.splitlines()

    def up_to(self, wanted: Callable[[dict], bool]) -> list[dict]:
        """The next lines, to the first one that is wanted."""
        timer = threading.Timer(DEADLINE, self.process.kill)
        timer.start()
        found = []
        try:
            for line in self.process.stdout:
                found.append(json.loads(line))
                if wanted(found[-1]):
                    return found
        finally:
            timer.cancel()
        raise AssertionError(f"ended after {found}: {self.notes}")

    def next(self, kind: str) -> dict:
        """The next line of a kind; those in front of it are passed over."""
        return self.up_to(lambda line: line["kind"] == kind)[-1]

    def json(self) -> list[dict]:
        return [json.loads(line) for line in self.lines()]


@contextmanager
def running_tail(brokers, *argv: str, cwd=None, **options) -> Iterator[Tail]:
    environment = {**os.environ, "MP_SYNC_URL": brokers.sync.url, "MP_ASYNC_URL": brokers.async_.url}
    process = subprocess.Popen(
        [sys.executable, "-m", "mpcli", "tail", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=cwd,
        **options,
    )
    try:
        yield Tail(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def queues_left(brokers) -> set[str]:
    deadline = time.monotonic() + DEADLINE
    while (left := {*brokers.sync.queues(), *brokers.async_.queues()}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture
def task() -> Callable[..., Message]:
    """Makes the message of a task: its name, its arguments, its id."""
    return task_message


@pytest.fixture
def event() -> Callable[..., Message]:
    """Makes the message of a worker's event: what happened, to which id."""
    return event_message


@pytest.fixture
def tail() -> Callable[..., AbstractContextManager[Tail]]:
    """Starts `mp tail` on two brokers, with arguments; it is tapping then."""
    return running_tail


@pytest.fixture
def left_behind() -> Callable[..., set[str]]:
    """The queues that are still on the two brokers, when there are none to come or the time is over."""
    return queues_left
