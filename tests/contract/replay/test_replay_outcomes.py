"""`--wait` and `--compare` on both brokers, with a worker that does what a test wants."""

from __future__ import annotations

import json
import threading
import time

import pytest

from mpcli.errors import UsageError
from mpcli.recording.format import EVENT, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.replay import Ended, Way
from mpcli.wire.frames import encode_content
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_PUBLISH, EXCHANGE_DECLARE
from mpcli.wire.properties import encode_properties

DEADLINE = 30.0


def event(what: str, task_id: str, **fields) -> Message:
    told = {"type": f"task-{what}", "uuid": task_id, "timestamp": time.time(), "hostname": "w@h", **fields}
    return Message.build("celeryev", "task.multi", {"content_type": "application/json"}, json.dumps([told]).encode())


class Worker:
    """Consumes a queue; each task ends as `ends(args)` says: a result, an exception, or None for no word at all."""

    def __init__(self, url: str, queue: str, ends, events: bool = True) -> None:
        self.url, self.queue, self.ends, self.events = url, queue, ends, events
        self.seen: list[Message] = []
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        return self

    def __exit__(self, *exc_info) -> None:
        self._stop.set()
        self._thread.join(DEADLINE)

    def _run(self) -> None:
        with connect(self.url) as connection:
            connection.request(EXCHANGE_DECLARE, "celeryev", "topic", False, True, False, False, False, {})
            connection.request(BASIC_CONSUME, self.queue, "", False, True, False, False, {})
            self._ready.set()
            while not self._stop.is_set():
                try:
                    incoming = connection.receive(time.monotonic() + 0.05)
                except TimeoutError:
                    continue
                if incoming.method is BASIC_DELIVER:
                    self._work(connection, incoming)

    def _work(self, connection, incoming) -> None:
        properties = incoming.properties
        task_id = properties["headers"]["id"]
        self.seen.append(Message("", "", incoming.header, incoming.body))
        end = self.ends(json.loads(incoming.body)[0], task_id)
        if end is None:
            return
        failed = isinstance(end, Exception)
        fields = {"exception": repr(end)} if failed else {"result": repr(end), "runtime": 0.01}
        data = b""
        if self.events:
            data = event("failed" if failed else "succeeded", task_id, **fields).publish_frames(1, 131072, False)
        if properties.get("reply_to"):
            result = {"exc_type": type(end).__name__, "exc_message": list(end.args)} if failed else end
            reply = {"status": "FAILURE" if failed else "SUCCESS", "result": result, "task_id": task_id}
            raw = encode_properties(
                {"content_type": "application/json", "correlation_id": properties["correlation_id"]}
            )
            data += BASIC_PUBLISH.frame(1, "", properties["reply_to"], False, False)
            data += encode_content(1, raw, json.dumps(reply).encode(), 131072)
        connection.send(data)


def ended(done) -> list[Ended]:
    return sorted((one for one in done.events if isinstance(one, Ended)), key=lambda one: one.planned.number)


@pytest.mark.parametrize("events", [True, False])
def test_sync_tasks_answer_us_and_their_patience_is_ours(bus, events) -> None:
    sent = [
        bus.task(n, "mplogin.sync.register", reply_to="old", correlation_id="old", expiration="1") for n in range(3)
    ]
    file = bus.record(*sent, broker="sync")

    def ends(args, task_id):
        return ValueError("no", 1) if args == [1] else {"n": args[0]}

    with Worker(bus.brokers.sync.url, "mplogin.sync", ends, events) as worker:
        done = bus.run(file, way=Way(wait=20.0))
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert [one.outcome.what for one in ended(done)] == ["succeeded", "failed", "succeeded"]
    assert [one.value for one in ended(done)][::2] == [{"n": 0}, {"n": 2}]
    assert "ValueError" in ended(done)[1].outcome.error
    assert (done.summary.outcomes, done.summary.failed, done.summary.silent) == (3, 1, 0)
    assert {one.properties["expiration"] for one in worker.seen} == {"20000"}
    assert all(one.properties["correlation_id"] == one.headers["id"] for one in worker.seen)


def test_async_tasks_are_followed_by_their_events(bus) -> None:
    file = bus.record(*(bus.task(n) for n in range(600)))
    with Worker(bus.brokers.async_.url, "mplogin.async", lambda args, task_id: args[0]):
        done = bus.run(file, way=Way(wait=20.0))
    assert [one.outcome.result for one in ended(done)] == [str(n) for n in range(600)]
    assert (done.summary.outcomes, done.summary.failed, done.summary.silent) == (600, 0, 0)


def test_a_task_that_is_there_twice_ends_twice(bus) -> None:
    bus.queue("waiting")
    twice = [bus.task(1), bus.task(2), bus.task(1)]
    deaths = [{"queue": "q", "exchange": "mplogin", "routing-keys": ["mplogin.async.mail"], "reason": "rejected"}]
    for one in twice:
        sent = one.changed(headers={**one.headers, "x-death": deaths})
        bus.publish(Message("", "waiting", sent.raw_properties, sent.body))
    with Worker(bus.brokers.async_.url, "mplogin.async", lambda args, task_id: args[0]):
        done = bus.run("waiting", way=Way(wait=20.0))
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert [one.outcome.result for one in ended(done)] == ["1", "2", "1"]
    assert (done.summary.outcomes, done.summary.silent) == (3, 0)
    assert "retries, or the same task twice" in done.plan.warnings[0]


def test_the_outcome_is_held_against_the_recorded_one(bus) -> None:
    file = bus.folder / "seen.mprec"
    ids = [bus.task(n).headers["id"] for n in range(7)]
    then = [
        event("succeeded", ids[0], result=f"'done {ids[0]} in 17 ms'"),
        event("failed", ids[1], exception="ValueError('no')"),
        event("succeeded", ids[2], result="1"),
        event("succeeded", ids[3], result="1"),
        event("failed", ids[4], exception="ValueError('no')"),
        event("succeeded", ids[6], result="1"),
    ]
    with Writer(file) as writer:
        writer.write([Entry(TASK, 1.7e9, "async", bus.task(n)) for n in range(7)])
        writer.write([Entry(EVENT, 1.7e9 + 1, "async", one) for one in then])

    def ends(args, task_id):
        now = {0: f"done {task_id} in 99 ms", 1: 7, 2: ValueError("no"), 3: 2, 4: ValueError("no"), 5: 1, 6: None}
        return now[args[0]]

    with Worker(bus.brokers.async_.url, "mplogin.async", ends):
        done = bus.run(str(file), way=Way(wait=5.0, compare=True, ignore=[r"\d+ ms"]))
    verdicts = [one.verdict for one in ended(done)]
    assert verdicts == ["same", "fixed", "broken", "changed", "same", "unrecorded", "silent"]
    assert done.summary.compared == dict.fromkeys(verdicts, 1) | {"same": 2}
    assert ended(done)[1].recorded.error == "ValueError('no')"
    for wrong in (Way(wait=1.0, compare=True, ignore=["("]), Way(wait=-1.0)):
        with pytest.raises(UsageError):
            bus.run(str(file), way=wrong)
    with pytest.raises(UsageError, match="recording"):
        bus.run("mplogin.dead", way=Way(wait=1.0, compare=True))
