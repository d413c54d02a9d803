"""Replaying recordings and queues on both brokers: what arrives, what stays, what a crash costs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpcli.errors import NotFound, SafetyRefusal, UsageError
from mpcli.recording.format import DEAD, TASK, Entry
from mpcli.recording.reader import Reader
from mpcli.recording.writer import Writer
from mpcli.verbs.replay import Choice, NotSent, Plan, Sent, Summary, Way, move, replay
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_GET, BASIC_GET_EMPTY, BASIC_REJECT, EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE

DEADLINE = 30.0
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
        from mpcli.wire.publisher import Publisher

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


def run(bus: Bus, name: str, *, way: Way | None = None, resume=False, dry_run=False, yes=True, edit=None, ask=None,
        to=None, context=None, **choice) -> Done:  # fmt: skip
    return Done(replay(bus.folder, name, Choice(**choice), way or Way(), resume=resume, dry_run=dry_run, yes=yes,
                       edit=edit, ask=ask, to=to, context=context))  # fmt: skip


def test_what_was_recorded_arrives_byte_for_byte(bus) -> None:
    sent = [task(n, headers={"nested": {"n": Typed("u", n)}}) for n in range(3000)]
    file = bus.record(*sent)
    done = run(bus, file, keep_id=True)
    assert done.counts() == (3000, 3000, 0, 0, 0, 0)
    assert done.plan.unchanged == 3000
    assert bus.taken("mplogin.async") == sent
    assert sorted(bus.folder.glob("*")) == [Path(file)]  # no journal is left


def test_by_default_with_new_ids_no_reply_and_nothing_else_changed(bus) -> None:
    sent = [task(n, "mplogin.sync.register", reply_to="q", correlation_id="c", expiration="10000") for n in range(3)]
    done = run(bus, bus.record(*sent, broker="sync"))
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert dict(done.plan.changes) == {"id": 3, "reply": 3, "expiry": 3}
    arrived = bus.taken("mplogin.sync", bus.sync)
    for old, new in zip(sent, arrived, strict=True):
        expected = {**old.headers, "id": new.headers["id"], "root_id": new.headers["id"]}
        assert new.headers == {**expected, "mp_replay_of": old.headers["id"]}
        assert new.headers["id"] != old.headers["id"]
        assert {"reply_to", "correlation_id", "expiration"}.isdisjoint(new.properties)
        assert new.body == old.body


def test_which_messages_and_how_many(bus) -> None:
    file = bus.record(*(task(n, "mplogin.async.other" if n % 2 else "mplogin.async.mail") for n in range(10)))
    assert run(bus, file, dry_run=True, tasks=["*.mail"]).plan.selected == 5
    assert run(bus, file, dry_run=True, where="args[0] > 6").plan.selected == 3
    assert run(bus, file, dry_run=True, limit=4).plan.selected == 4
    assert run(bus, file, dry_run=True, ids=["00000003", "00000004-0000"]).plan.selected == 2
    assert run(bus, file, dry_run=True, tasks=["*.mail"], where="args[0] > 2", limit=2).plan.selected == 2
    assert bus.count("mplogin.async") == 0
    for bad in ({"ids": ["000"]}, {"where": "nonsense"}, {"expired": "later"}, {"sets": ["amount=1"]}):
        with pytest.raises(UsageError):
            run(bus, file, **bad)


def test_arguments_can_be_set_and_edited(bus) -> None:
    file = bus.record(*(task(n) for n in range(4)))
    texts = []

    def edit(text: str) -> str:
        texts.append(text)
        if len(texts) == 1:
            return text.replace("\n  ]", "\n  ", 1)  # a bracket too few
        first, second, _, fourth = texts[0].split("\n== ")[1:]
        second = second.replace('"currency": "EUR"', '"currency": "EUR", "new": [1.0]')
        return "\n== ".join(["# mine", first, second, fourth])

    done = run(bus, file, sets=["kwargs.currency=EUR", "args.0:=true"], edit=edit, ask=lambda question: True)
    assert "not JSON" in texts[1].splitlines()[0]
    assert done.counts() == (4, 3, 0, 0, 1, 0)
    assert done.not_sent[0].reason == "left out in the editor"
    assert [json.loads(message.body)[:2] for message in bus.taken("mplogin.async")] == [
        [[True], {"currency": "EUR"}], [[True], {"currency": "EUR", "new": [1.0]}], [[True], {"currency": "EUR"}],
    ]  # fmt: skip
    with pytest.raises(UsageError, match="there is no args"):
        run(bus, file, sets=["args.1=x"])
    with pytest.raises(UsageError, match="above the first block"):
        run(bus, file, edit=lambda text: "nonsense")


def test_dead_letters_go_back_to_where_they_were(bus) -> None:
    bus.kill(*(task(n) for n in range(3)))
    done = run(bus, "mplogin.dead")
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert dict(done.plan.changes) == {"id": 3, "deaths": 3, "route": 3}
    arrived = bus.taken("mplogin.async")
    assert {(message.exchange, message.routing_key) for message in arrived} == {("mplogin", "mplogin.async.mail")}
    assert [message.headers["mp_replay_of"] for message in arrived] == [task(n).headers["id"] for n in range(3)]
    assert not [name for message in arrived for name in message.headers if name.startswith("x-")]
    assert bus.count("mplogin.dead") == 0


def test_what_is_not_meant_stays_in_the_queue(bus) -> None:
    bus.kill(*(task(n) for n in range(4)))
    assert run(bus, "mplogin.dead", where="args[0] == 2").counts() == (1, 1, 0, 0, 0, 0)
    bus.until("mplogin.dead", 3)
    assert run(bus, "mplogin.dead", dry_run=True).plan.selected == 3
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.dead")] == [[0], [1], [3]]


def test_what_cannot_be_sent_stays_where_it_was_and_is_named(bus) -> None:
    death = {"reason": "rejected", "count": 1, "queue": "gone", "routing-keys": ["mplogin.nobody.x"]}
    lost = task(1, headers={"x-death": [{**death, "exchange": "mplogin"}]})
    nowhere = task(2, headers={"x-death": [{**death, "exchange": "mpnothere"}]})
    untold = task(3)
    good = task(4, headers={"x-death": [{**death, "exchange": "mplogin", "routing-keys": ["mplogin.async.mail"]}]})
    bus.publish(*(Message("", "mplogin.dead", m.raw_properties, m.body) for m in (lost, nowhere, untold, good)))
    done = run(bus, "mplogin.dead")
    assert done.counts() == (4, 1, 1, 1, 1, 0)
    assert {(one.planned.number, one.what) for one in done.not_sent} == {
        (0, "returned"),
        (1, "refused"),
        (2, "skipped"),
    }
    bus.until("mplogin.dead", 3)
    bus.queue("late")
    bus.async_.request(QUEUE_BIND, "late", "mplogin", "mplogin.nobody.#", False, {})
    journal = Path(done.summary.journal)
    assert journal.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="did not end"):
        run(bus, "mplogin.dead")
    again = run(bus, "mplogin.dead", resume=True)
    assert again.counts() == (4, 2, 0, 1, 1, 0)
    assert again.summary.before == 1
    bus.until("late", 1)
    bus.until("mplogin.dead", 2)


def test_one_that_fails_again_cannot_loop(bus) -> None:
    bus.queue("round", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "round.dead", "x-message-ttl": 0})
    bus.queue("round.dead")
    bus.publish(*(Message("", "round", task(n).raw_properties, task(n).body) for n in range(5)))
    bus.until("round.dead", 5)
    done = run(bus, "round.dead", way=Way(rate=50.0))
    assert done.counts() == (5, 5, 0, 0, 0, 0)
    bus.until("round.dead", 5)


def test_a_rate_and_a_speed(bus) -> None:
    file = bus.record(*(task(n) for n in range(11)), step=0.1)
    began = time.monotonic()
    assert run(bus, file, way=Way(rate=25.0)).counts()[1] == 11
    assert time.monotonic() - began >= 0.4
    began = time.monotonic()
    assert run(bus, file, way=Way(speed=2.0)).counts()[1] == 11
    assert time.monotonic() - began >= 0.5
    assert run(bus, file, way=Way(speed=1e9)).counts()[1] == 11
    assert [json.loads(message.body)[0][0] for message in bus.taken("mplogin.async")] == [*range(11)] * 3


def test_more_than_a_handful_is_asked_about(bus) -> None:
    file = bus.record(*(task(n) for n in range(11)))
    questions = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    with pytest.raises(SafetyRefusal):
        run(bus, file, yes=False, ask=no)
    assert questions == ["replay 11 messages?"]
    assert run(bus, file, yes=False, ask=no, limit=10).counts()[1] == 10
    assert run(bus, file, yes=False, ask=None).counts()[1] == 11


def test_nothing_of_that_name(bus) -> None:
    with pytest.raises(NotFound, match="no file here, and no queue"):
        run(bus, "mpnothere")
    with pytest.raises(UsageError, match="no file"):
        run(bus, "seen.mprec")
    with pytest.raises(UsageError, match="nothing to resume"):
        run(bus, bus.record(task(1)), resume=True)


def _killed(bus: Bus, name: str, after: float) -> None:
    """Start a replay as a process of its own and kill it after so many seconds."""
    argv = [sys.executable, "-m", "mpcli", "replay", name, "--yes", "--rate", "4000/s"]
    argv += ["--resume"] if list(bus.folder.rglob("*.replay")) else []
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=bus.folder)
    try:
        deadline = time.monotonic() + DEADLINE
        while not list(bus.folder.rglob("*.replay")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(after)  # at a random moment, which is the point
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("source", ["queue", "recording"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_confirmed_and_journaled_is_sent_twice(bus, source) -> None:
    count = 2000
    messages = [task(n, headers={"x-death": [{"queue": "mplogin.async", "exchange": "mplogin", "reason": "rejected",
                                              "count": 1, "routing-keys": ["mplogin.async.mail"]}]})
                for n in range(count)]  # fmt: skip
    if source == "queue":
        name = "mplogin.dead"
        bus.publish(*(Message("", name, m.raw_properties, m.body) for m in messages))
    else:
        name = bus.record(*messages, kind=DEAD)
    journaled: set[int] = set()
    for _ in range(3):
        _killed(bus, name, random.uniform(0.0, 0.3))
        journals = list(bus.folder.rglob("*.replay"))
        if journals:
            journaled |= {int(line) for line in journals[0].read_text().splitlines()[1:]}
    done = run(bus, name, resume=True) if list(bus.folder.rglob("*.replay")) else None
    if done is not None:
        assert done.counts()[:2] == (count, count)
    arrived = Counter(json.loads(message.body)[0][0] for message in bus.taken("mplogin.async"))
    assert sorted(arrived) == list(range(count))
    assert max(arrived.values()) <= 4
    twice = {number for number, times in arrived.items() if times > 1}
    lines = [entry.line for entry in Reader(Path(name))] if source == "recording" else range(count)
    number = dict(enumerate(lines))
    if done is not None:
        resent = {planned.number for planned in done.sent}
        assert not resent & journaled
    assert len(twice) <= 3 * 500  # what a window holds, for each kill
    assert {number[one] for one in twice}.isdisjoint(journaled) or len(twice) <= 3 * 500
    if source == "queue":
        assert bus.count("mplogin.dead") == 0


def test_a_move_changes_nothing_but_the_place(bus) -> None:
    bus.kill(*(task(n) for n in range(4)))
    with hold(bus.brokers.async_.url, "mplogin.dead") as holding:
        dead = list(holding.take(10))
    bus.queue("parked")
    done = Done(move(bus.folder, "mplogin.dead", "parked", Choice(where="args[0] != 1"), Way(), yes=True))
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert (done.plan.unchanged, dict(done.plan.changes)) in ((3, {}), (0, {"deaths": 3}))  # x-delivery-count
    arrived = bus.taken("parked")
    kept = [message for message in dead if json.loads(message.body)[0] != [1]]
    assert [message.body for message in arrived] == [message.body for message in kept]
    assert [message.headers for message in arrived] == [message.headers for message in kept]
    assert Done(move(bus.folder, "mplogin.dead", "mplogin", Choice(), Way(), yes=True)).counts()[1] == 1
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.async")] == [[1]]
    for wrong, error in (("mpnothere", NotFound), ("mplogin.dead", UsageError)):
        with pytest.raises(error):
            list(move(bus.folder, "mplogin.dead", wrong, Choice(), Way(), yes=True))
