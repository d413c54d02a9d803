"""Queues with messages in them, and `mp` run on them: through its verbs, or as a program to be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import kombu
import pytest
from counting import await_count, await_returned, await_total

from mpcli.bus.naming import Mode
from mpcli.bus.topology import service_queues
from mpcli.wire.codec import Table
from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_QOS, QUEUE_DECLARE
from mpcli.wire.publisher import Publisher

DEADLINE = 60.0
DECLARE_ONLY = (False, True, False, False, False)


def task(name: str, number: int, exchange: str = "", key: str = "", headers: Table | None = None, **kwargs) -> Message:
    """A Celery message with a number as its id."""
    task_id = f"{number:08d}-id"
    all_headers = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "retries": 0, **(headers or {})}
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
    body = json.dumps([[number], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return Message.build(
        exchange, key or name, {**properties, "headers": all_headers, "correlation_id": task_id}, body.encode()
    )


def number(message: Message) -> int:
    """The number of a message made by `task`."""
    return int(str(message.headers["id"]).partition("-")[0])


def all_of(broker, queue: str) -> list[Message]:
    """Every message of the queue, taken for good, also what is out to somebody who has just been killed."""
    found: list[Message] = []
    deadline = time.monotonic() + DEADLINE
    while broker.queues()[queue]:
        assert time.monotonic() < deadline
        with hold(broker.url, queue) as holding:
            batch = list(holding.take(100_000))
            holding.ack(batch)
        found += batch
    return found


def busy_worker(connection: Connection, queue: str, exclusive: bool = False) -> None:
    """A consumer that is busy with one message for as long as its connection is open."""
    connection.request(BASIC_QOS, 0, 1, False)
    connection.request(BASIC_CONSUME, queue, "worker", False, False, exclusive, False, {})
    while connection.receive(time.monotonic() + DEADLINE).method is not BASIC_DELIVER:
        pass


class Here:
    """Both brokers with the queues of the service mplogin, seen from an empty folder."""

    task = staticmethod(task)
    number = staticmethod(number)
    busy_worker = staticmethod(busy_worker)

    def __init__(self, brokers, folder: Path, home: Path) -> None:
        self.brokers = brokers
        self.folder = folder
        self.sync, self.async_ = connect(brokers.sync.url), connect(brokers.async_.url)
        self.environment = {
            **os.environ,
            "MP_SYNC_URL": brokers.sync.url,
            "MP_ASYNC_URL": brokers.async_.url,
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        self.home = home

    def connection(self, mode: str) -> Connection:
        return self.sync if mode == "sync" else self.async_

    def declare(self, mode: str, queue: str, **arguments) -> None:
        declared = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.connection(mode).request(QUEUE_DECLARE, queue, *DECLARE_ONLY, declared)

    def publish(self, mode: str, messages: Iterable[Message]) -> None:
        url = self.brokers.sync.url if mode == "sync" else self.brokers.async_.url
        with connect(url) as connection:
            assert {one.what for one in Publisher(connection).publish(messages)} <= {"confirmed"}

    def fill(self, mode: str, queue: str, count: int, name: str = "mplogin.sync.register", **kwargs) -> None:
        """Put so many tasks straight into a queue."""
        self.publish(mode, [task(name, n, key=queue, **kwargs) for n in range(count)])

    def broker(self, mode: str):
        return self.brokers.sync if mode == "sync" else self.brokers.async_

    def await_count(self, mode: str, queue: str, wanted: int) -> None:
        await_count(self.connection(mode), queue, wanted)

    def await_total(self, mode: str, queue: str, wanted: int) -> None:
        await_total(self.broker(mode), queue, wanted)

    def await_returned(self, mode: str, queue: str) -> None:
        await_returned(self.broker(mode), self.connection(mode), queue)

    def all_of(self, mode: str, queue: str) -> list[Message]:
        return all_of(self.broker(mode), queue)

    def context(self, safety: str) -> None:
        """Make a context `guarded` of the two brokers."""
        folder = self.home / "config" / "mp"
        folder.mkdir(parents=True, exist_ok=True)
        urls = f'sync_url = "{self.brokers.sync.url}"\nasync_url = "{self.brokers.async_.url}"\n'
        (folder / "config.toml").write_text(f'[context.guarded]\nsafety = "{safety}"\n{urls}')

    def start(self, *argv: str, **options) -> subprocess.Popen[str]:
        """Start `mp` with its output in pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "mpcli", *argv],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def mp(self, *argv: str) -> tuple[int, str, str]:
        """Run `mp` to its end: exit code, stdout, stderr."""
        process = self.start(*argv)
        try:
            out, err = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
        return process.returncode, out, err

    def close(self) -> None:
        self.sync.close()
        self.async_.close()


@pytest.fixture
def here(brokers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """The queues of mplogin on both brokers, and an environment that names these for the verbs."""
    for mode, url in ((Mode.SYNC, brokers.sync.url), (Mode.ASYNC, brokers.async_.url)):
        with kombu.Connection(url.replace("amqp://", "pyamqp://")) as connection:
            for queue in service_queues("mplogin", mode):  # and not the delays, which take a second
                queue.bind(connection.default_channel).declare()
    folder = tmp_path / "folder"
    folder.mkdir()
    here = Here(brokers, folder, tmp_path)
    for name in ("MP_SYNC_URL", "MP_ASYNC_URL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, here.environment[name])
    yield here
    here.close()


@pytest.fixture
def kill_at_random() -> Callable[[subprocess.Popen[str], float, float], str]:
    """Kill a started program between two times after its start; gives what it had written to stdout."""
    import random

    def kill(process: subprocess.Popen[str], earliest: float, latest: float) -> str:
        time.sleep(random.uniform(earliest, latest))
        process.kill()
        out = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        process.wait(DEADLINE)
        return out

    return kill
