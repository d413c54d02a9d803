"""A platform of one service on both brokers, without its workers, and replays to run in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpcli.recording.format import TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.replay import Choice, NotSent, Plan, Sent, Summary, Way, replay
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_GET, BASIC_GET_EMPTY, BASIC_REJECT, EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.publisher import Publisher

DEADLINE = 60.0
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
TYPES = {
    "small": Typed("s", 3), "wide": Typed("l", 3), "unsigned": Typed("B", 3), "single": Typed("f", 0.5), "double": 0.5,
    "when": Typed("T", 17), "price": Typed("D", (2, 314)), "raw": b"\xff", "null": None, "flag": True,
    "table": {"inner": [Typed("s", 1), None]}, "not utf-8": Typed("S", b"\xff"),
}  # fmt: skip


def task(number: int, name: str = "mplogin.async.mail", headers=None, **properties) -> Message:
    task_id = f"{number:08d}-0000-4000-8000-000000000000"
    found = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "retries": 0}
    found |= {"eta": None, "expires": None, "argsrepr": "()", "kwargsrepr": "{}", **TYPES, **(headers or {})}
    body = json.dumps([[number], {}, EMBED]).encode()
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": found, **properties}
    return Message.build("mplogin", name, {**properties, "delivery_mode": 2}, body)


class Bus:
    """The brokers of a platform with one service, whose async queue has dead letters behind it."""

    def __init__(self, brokers, folder: Path) -> None:
        self.brokers, self.folder = brokers, folder
        self.sync, self.async_ = connect(brokers.sync.url), connect(brokers.async_.url)
        quorum = {"x-queue-type": "quorum"}
        for connection, mode in ((self.sync, "sync"), (self.async_, "async")):
            connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
            arguments = {**quorum, "x-dead-letter-exchange": "mplogin.dead"} if mode == "async" else {}
            self.queue(f"mplogin.{mode}", connection, **arguments)
            connection.request(QUEUE_BIND, f"mplogin.{mode}", "mplogin", f"mplogin.{mode}.#", False, {})
        self.async_.request(EXCHANGE_DECLARE, "mplogin.dead", "fanout", False, True, False, False, False, {})
        self.queue("mplogin.dead", self.async_, **quorum)
        self.async_.request(QUEUE_BIND, "mplogin.dead", "mplogin.dead", "", False, {})

    def queue(self, name: str, connection=None, **arguments) -> None:
        (connection or self.async_).request(QUEUE_DECLARE, name, False, True, False, False, False, arguments)

    def publish(self, *messages: Message, connection=None) -> None:
        with connect((self.brokers.sync if connection is self.sync else self.brokers.async_).url) as fresh:
            assert {one.what for one in Publisher(fresh).publish(messages)} <= {"confirmed"}

    def taken(self, queue: str, connection=None) -> list[Message]:
        """Everything in the queue, which is empty after it."""
        url = self.brokers.sync.url if connection is self.sync else self.brokers.async_.url
        with hold(url, queue) as holding:
            found = list(holding.take(65_535))
            holding.ack(found)
        return found

    def kill(self, *messages: Message) -> None:
        """Let them die in the service's queue: they are dead letters then."""
        self.publish(*messages)
        for _ in messages:
            self.async_.send(BASIC_GET.frame(1, "mplogin.async", False))
            got = self.async_.answer(BASIC_GET, deadline=time.monotonic() + DEADLINE)
            assert got.method is not BASIC_GET_EMPTY
            self.async_.send(BASIC_REJECT.frame(1, got.values[0], False))
        self.until("mplogin.dead", len(messages))

    def count(self, queue: str) -> int:
        return {**self.brokers.sync.queues(), **self.brokers.async_.queues()}[queue]

    def until(self, queue: str, count: int) -> None:
        deadline = time.monotonic() + DEADLINE
        while self.count(queue) != count:
            assert time.monotonic() < deadline, (queue, self.count(queue), count)
            time.sleep(0.02)

    def record(self, *messages: Message, kind: str = TASK, broker: str = "async", step: float = 1.0) -> str:
        file = self.folder / "seen.mprec"
        with Writer(file) as writer:
            writer.write([Entry(kind, 1.7e9 + n * step, broker, message) for n, message in enumerate(messages)])
        return str(file)

    task = staticmethod(task)

    def run(self, name: str, *, way: Way | None = None, **options) -> Done:
        """A whole replay; what is not about how it is run is about which messages."""
        about = ("spend", "resume", "dry_run", "edit", "ask", "to", "context", "yes")
        how = {"yes": True, **{key: options.pop(key) for key in about if key in options}}
        return Done(replay(self.folder, name, Choice(**options), way or Way(), **how))

    def done(self, events) -> Done:
        return Done(events)

    def close(self) -> None:
        self.sync.close()
        self.async_.close()


@pytest.fixture
def bus(brokers, tmp_path, monkeypatch) -> Iterator[Bus]:
    monkeypatch.setenv("MP_SYNC_URL", brokers.sync.url)
    monkeypatch.setenv("MP_ASYNC_URL", brokers.async_.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    bus = Bus(brokers, tmp_path)
    yield bus
    bus.close()


class Done:
    """A replay that ran to its end."""

    def __init__(self, events) -> None:
        self.events = list(events)
        self.plan = next(event for event in self.events if isinstance(event, Plan))
        self.not_sent = [event for event in self.events if isinstance(event, NotSent)]
        self.sent = [planned for event in self.events if isinstance(event, Sent) for planned in event.planned]
        last = self.events[-1]
        self.summary = last if isinstance(last, Summary) else None

    def counts(self) -> tuple[int, ...]:
        s = self.summary
        assert s.selected == s.confirmed + s.returned + s.refused + s.skipped + s.left
        return s.selected, s.confirmed, s.returned, s.refused, s.skipped, s.left
