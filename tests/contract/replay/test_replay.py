"""Replaying recordings and queues on both brokers: what arrives, what stays, what a crash costs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from mpcli.errors import BrokerError, NotFound, SafetyRefusal, UsageError
from mpcli.recording.format import DEAD
from mpcli.recording.reader import Reader
from mpcli.verbs.replay import Choice, Plan, Sent, Way, move, replay, sending
from mpcli.verbs.replay.sources import Waiting
from mpcli.wire.codec import Typed
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import QUEUE_BIND

DEADLINE = 60.0


def test_what_was_recorded_arrives_byte_for_byte(bus) -> None:
    sent = [bus.task(n, headers={"nested": {"n": Typed("u", n)}}) for n in range(10_000)]
    file = bus.record(*sent)
    done = bus.run(file, keep_id=True)
    assert done.counts() == (10_000, 10_000, 0, 0, 0, 0)
    assert done.plan.unchanged == 10_000
    assert bus.taken("mplogin.async") == sent
    assert sorted(bus.folder.glob("*")) == [Path(file)]  # no journal is left


def test_by_default_with_new_ids_no_reply_and_nothing_else_changed(bus) -> None:
    sent = [
        bus.task(n, "mplogin.sync.register", reply_to="q", correlation_id="c", expiration="10000") for n in range(3)
    ]
    done = bus.run(bus.record(*sent, broker="sync"))
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
    file = bus.record(*(bus.task(n, "mplogin.async.other" if n % 2 else "mplogin.async.mail") for n in range(10)))
    assert bus.run(file, dry_run=True, tasks=["*.mail"]).plan.selected == 5
    assert bus.run(file, dry_run=True, where="args[0] > 6").plan.selected == 3
    assert bus.run(file, dry_run=True, limit=4).plan.selected == 4
    assert bus.run(file, dry_run=True, ids=["00000003", "00000004-0000"]).plan.selected == 2
    assert bus.run(file, dry_run=True, tasks=["*.mail"], where="args[0] > 2", limit=2).plan.selected == 2
    assert bus.count("mplogin.async") == 0
    for bad in ({"ids": ["000"]}, {"where": "nonsense"}, {"expired": "later"}, {"sets": ["amount=1"]}):
        with pytest.raises(UsageError):
            bus.run(file, **bad)


def test_arguments_can_be_set_and_edited(bus) -> None:
    file = bus.record(*(bus.task(n) for n in range(4)))
    texts = []

    def edit(text: str) -> str:
        texts.append(text)
        if len(texts) == 1:
            return text.replace("\n  ]", "\n  ", 1)  # a bracket too few
        first, second, _, fourth = texts[0].split("\n== ")[1:]
        second = second.replace('"currency": "EUR"', '"currency": "EUR", "new": [1.0]')
        return "\n== ".join(["# mine", first, second, fourth])

    done = bus.run(file, sets=["kwargs.currency=EUR", "args.0:=true"], edit=edit, ask=lambda question: True)
    assert "not JSON" in texts[1].splitlines()[0]
    assert done.counts() == (4, 3, 0, 0, 1, 0)
    assert done.not_sent[0].reason == "left out in the editor"
    assert [json.loads(message.body)[:2] for message in bus.taken("mplogin.async")] == [
        [[True], {"currency": "EUR"}], [[True], {"currency": "EUR", "new": [1.0]}], [[True], {"currency": "EUR"}],
    ]  # fmt: skip
    with pytest.raises(UsageError, match="there is no args"):
        bus.run(file, sets=["args.1=x"])
    with pytest.raises(UsageError, match="above the first block"):
        bus.run(file, edit=lambda text: "nonsense")


def test_dead_letters_go_back_to_where_they_were(bus) -> None:
    bus.kill(*(bus.task(n) for n in range(3)))
    done = bus.run("mplogin.dead")
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert dict(done.plan.changes) == {"id": 3, "deaths": 3, "route": 3}
    arrived = bus.taken("mplogin.async")
    assert {(message.exchange, message.routing_key) for message in arrived} == {("mplogin", "mplogin.async.mail")}
    assert [message.headers["mp_replay_of"] for message in arrived] == [bus.task(n).headers["id"] for n in range(3)]
    assert not [name for message in arrived for name in message.headers if name.startswith("x-")]
    assert bus.count("mplogin.dead") == 0


def test_what_is_not_meant_stays_in_the_queue(bus) -> None:
    bus.kill(*(bus.task(n) for n in range(4)))
    assert bus.run("mplogin.dead", where="args[0] == 2").counts() == (1, 1, 0, 0, 0, 0)
    bus.until("mplogin.dead", 3)
    assert bus.run("mplogin.dead", dry_run=True).plan.selected == 3
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.dead")] == [[0], [1], [3]]


def test_what_cannot_be_sent_stays_where_it_was_and_is_named(bus) -> None:
    death = {"reason": "rejected", "count": 1, "queue": "gone", "routing-keys": ["mplogin.nobody.x"]}
    lost = bus.task(1, headers={"x-death": [{**death, "exchange": "mplogin"}]})
    nowhere = bus.task(2, headers={"x-death": [{**death, "exchange": "mpnothere"}]})
    untold = bus.task(3)
    good = bus.task(4, headers={"x-death": [{**death, "exchange": "mplogin", "routing-keys": ["mplogin.async.mail"]}]})
    bus.publish(*(Message("", "mplogin.dead", m.raw_properties, m.body) for m in (lost, nowhere, untold, good)))
    done = bus.run("mplogin.dead")
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
        bus.run("mplogin.dead")
    again = bus.run("mplogin.dead", resume=True)
    assert again.counts() == (4, 2, 0, 1, 1, 0)
    assert again.summary.before == 1
    bus.until("late", 1)
    bus.until("mplogin.dead", 2)


def test_one_that_fails_again_cannot_loop(bus) -> None:
    bus.queue("round", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "round.dead", "x-message-ttl": 0})
    bus.queue("round.dead")
    bus.publish(*(Message("", "round", bus.task(n).raw_properties, bus.task(n).body) for n in range(5)))
    bus.until("round.dead", 5)
    done = bus.run("round.dead", way=Way(rate=50.0))
    assert done.counts() == (5, 5, 0, 0, 0, 0)
    bus.until("round.dead", 5)


def test_a_slow_rate_outlives_the_heartbeats(bus, monkeypatch) -> None:
    monkeypatch.setattr(sending, "connect", partial(sending.connect, heartbeat=1))
    file = bus.record(bus.task(1), bus.task(2))
    # Both brokers hang up on who is silent for two heartbeats, RabbitMQ after up to one more.
    assert bus.run(file, way=Way(rate=1 / 4.5)).counts() == (2, 2, 0, 0, 0, 0)


def test_a_rate_and_a_speed(bus) -> None:
    file = bus.record(*(bus.task(n) for n in range(11)), step=0.1)
    began = time.monotonic()
    assert bus.run(file, way=Way(rate=25.0)).counts()[1] == 11
    assert time.monotonic() - began >= 0.4
    began = time.monotonic()
    assert bus.run(file, way=Way(speed=2.0)).counts()[1] == 11
    assert time.monotonic() - began >= 0.5
    assert bus.run(file, way=Way(speed=1e9)).counts()[1] == 11
    assert [json.loads(message.body)[0][0] for message in bus.taken("mplogin.async")] == [*range(11)] * 3


def test_more_than_a_handful_is_asked_about(bus) -> None:
    file = bus.record(*(bus.task(n) for n in range(11)))
    questions = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    with pytest.raises(SafetyRefusal):
        bus.run(file, yes=False, ask=no)
    assert questions == ["replay 11 messages?"]
    assert bus.run(file, yes=False, ask=no, limit=10).counts()[1] == 10
    assert bus.run(file, yes=False, ask=None).counts()[1] == 11


def test_nothing_of_that_name(bus) -> None:
    with pytest.raises(NotFound, match="no file here, and no queue"):
        bus.run("mpnothere")
    with pytest.raises(UsageError, match="no file"):
        bus.run("seen.mprec")
    with pytest.raises(UsageError, match="nothing to resume"):
        bus.run(bus.record(bus.task(1)), resume=True)


def _killed(bus, name: str, after: float) -> None:
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
    messages = [bus.task(n, headers={"x-death": [{"queue": "mplogin.async", "exchange": "mplogin", "reason": "rejected",
                                              "count": 1, "routing-keys": ["mplogin.async.mail"]}]})
                for n in range(count)]  # fmt: skip
    if source == "queue":
        name = "mplogin.dead"
        bus.publish(*(Message("", name, m.raw_properties, m.body) for m in messages))
    else:
        name = bus.record(*messages, kind=DEAD)
    lines = [entry.line for entry in Reader(Path(name))] if source == "recording" else list(range(count))
    journaled: set[int] = set()
    arrived: Counter[int] = Counter()

    def drain() -> None:
        came = [lines[json.loads(message.body)[0][0]] for message in bus.taken("mplogin.async")]
        assert not journaled.intersection(came)
        arrived.update(came)

    for _ in range(3):
        _killed(bus, name, random.uniform(0.0, 0.3))
        drain()
        if not list(bus.folder.rglob("*.replay")):
            break  # it was done when it was killed
        for journal in bus.folder.rglob("*.replay"):
            journaled |= {int(line) for line in journal.read_text().splitlines()[1:]}
    if list(bus.folder.rglob("*.replay")):
        done = bus.run(name, resume=True)
        assert done.counts() == (count, count, 0, 0, 0, 0)
        assert done.summary.before == len(journaled)
        drain()
    assert sorted(arrived) == lines
    assert arrived.total() - count <= 3 * 500  # a window for each kill
    assert not list(bus.folder.rglob("*.replay"))
    if source == "queue":
        assert bus.count("mplogin.dead") == 0


def test_a_move_changes_nothing_but_the_place(bus) -> None:
    bus.kill(*(bus.task(n) for n in range(4)))
    with hold(bus.brokers.async_.url, "mplogin.dead") as holding:
        dead = list(holding.take(10))
    bus.queue("parked")
    done = bus.done(move(bus.folder, "mplogin.dead", "parked", Choice(where="args[0] != 1"), Way(), yes=True))
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert (done.plan.unchanged, dict(done.plan.changes)) in ((3, {}), (0, {"deaths": 3}))  # x-delivery-count
    arrived = bus.taken("parked")
    kept = [message for message in dead if json.loads(message.body)[0] != [1]]
    assert [message.body for message in arrived] == [message.body for message in kept]
    assert [message.headers for message in arrived] == [message.headers for message in kept]
    assert bus.done(move(bus.folder, "mplogin.dead", "mplogin", Choice(), Way(), yes=True)).counts()[1] == 1
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.async")] == [[1]]
    for wrong, error in (("mpnothere", NotFound), ("mplogin.dead", UsageError)):
        with pytest.raises(error):
            list(move(bus.folder, "mplogin.dead", wrong, Choice(), Way(), yes=True))


def test_a_queue_of_any_name_can_be_moved(bus) -> None:
    long = "\u00fc" * 120
    for queue in ("../odd name\x1b", long, "a file"):
        bus.queue(queue)
        bus.queue("parked")
        (bus.folder / "a file").write_text("a file of the same name")
        bus.publish(bus.task(1).changed(exchange="", routing_key=queue))
        events = move(bus.folder, queue, "parked", Choice(), Way(), broker="async", yes=True)
        assert next(events).selected == 1
        next(events)
        (journal,) = bus.folder.rglob("*.replay")
        assert journal.parent == bus.folder / "state" / "mp" / "replay"
        assert bus.done([Plan(list, "", ""), *events]).summary.confirmed == 1
        assert len(bus.taken("parked")) == 1


def test_a_limited_queue_gives_no_delivery_away_unless_told(bus) -> None:
    limited = {"x-queue-type": "quorum", "x-delivery-limit": 1}
    bus.queue("limited", **limited, **{"x-dead-letter-exchange": "mplogin.dead"})
    bus.queue("parked")
    bus.publish(*(bus.task(n).changed(exchange="", routing_key="limited") for n in range(3)))
    for options in ({"dry_run": True}, {"limit": 1}, {"where": "args[0] == 1"}):
        with pytest.raises(SafetyRefusal, match="delivery limit of 1"):
            bus.run("limited", **options)
    with pytest.raises(SafetyRefusal, match="delivery limit of 1"):
        list(move(bus.folder, "limited", "parked", Choice(limit=1), Way(), yes=True))
    assert bus.run("limited", dry_run=True, spend=True).plan.selected == 3
    bus.until("limited", 3)
    assert bus.done(move(bus.folder, "limited", "parked", Choice(), Way(), yes=True)).counts()[1] == 3
    assert len(bus.taken("parked")) == 3  # one delivery was used up, and none by what was refused
    bus.queue("dropping", **limited)
    bus.publish(bus.task(1).changed(exchange="", routing_key="dropping"))
    for _ in range(3):  # nobody would ever see it again
        with pytest.raises(SafetyRefusal, match="it has no dead letters"):
            bus.run("dropping", spend=True, dry_run=True)
    assert len(bus.taken("dropping")) == 1


def test_looks_do_not_add_up_to_the_limit_of_the_broker_itself(bus) -> None:
    """RabbitMQ 4 limits the deliveries of every quorum queue, those of dead letters too."""
    bus.publish(*(bus.task(n).changed(exchange="", routing_key="mplogin.dead") for n in range(3)))
    for _ in range(2):
        waiting = Waiting(bus.brokers.async_.url, "mplogin.dead", "async", 0.0, limit=4)
        assert [item.seen.message.headers["id"] for item in waiting] == [bus.task(n).headers["id"] for n in range(3)]
        waiting.close()
    with pytest.raises(SafetyRefusal, match="was delivered 2 times, and the broker drops it after 4"):
        Waiting(bus.brokers.async_.url, "mplogin.dead", "async", 0.0, limit=4)
    assert len(bus.taken("mplogin.dead")) == 3


def test_of_a_recording_only_the_causes_are_sent(bus) -> None:
    parent = bus.task(1)
    root = parent.headers["id"]
    child = bus.task(2, headers={"root_id": root, "parent_id": root})
    other = bus.task(3, headers={"root_id": "elsewhere", "parent_id": "elsewhere"})
    retry = bus.task(1, headers={"retries": 1})
    file = bus.record(child, parent, other, retry)  # with two brokers a child may come first
    done = bus.run(file)
    assert done.counts() == (4, 2, 0, 0, 2, 0)
    assert [one.planned.number for one in done.not_sent] == [2, 5]
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.async")] == [[1], [3]]
    assert bus.run(file, where="parent == root").counts() == (2, 2, 0, 0, 0, 0)  # the cause is not meant
    assert len(bus.taken("mplogin.async")) == 2
    everything = bus.run(file, consequences=True)
    assert everything.counts() == (4, 4, 0, 0, 0, 0)
    assert len(everything.plan.warnings) == 2
    sent = bus.taken("mplogin.async")
    new = sent[1].headers["id"]
    assert sent[0].headers["root_id"] == sent[0].headers["parent_id"] == sent[3].headers["id"] == new
    assert sent[2].headers["root_id"] == "elsewhere"


def test_what_would_do_harm_at_the_broker_does_not(bus) -> None:
    bus.queue("copies")
    bus.async_.request(QUEUE_BIND, "copies", "mplogin", "elsewhere", False, {})
    harmful = {"CC": ["elsewhere"], "BCC": ["elsewhere"]}
    file = bus.record(
        bus.task(1, headers=harmful, priority=5),
        bus.task(2, user_id="somebody"),
        bus.task(3, headers={"expires": "2023-11-14T22:14:22+00:00"}),  # a minute after it was recorded
        bus.task(4, headers={"eta": "2001-01-01T00:00:00+00:00"}),
    )
    done = bus.run(file)
    assert done.counts() == (4, 3, 0, 0, 1, 0)
    assert "expired at 2023" in done.not_sent[0].reason
    assert done.plan.notes["eta is past: runs at once"] == 1
    arrived = bus.taken("mplogin.async")
    assert [json.loads(message.body)[0] for message in arrived] == [[1], [2], [4]]
    assert arrived[0].properties["priority"] == 5
    assert bus.taken("copies") == []
    shifted = bus.run(file, expired="shift", limit=3)
    assert shifted.counts() == (3, 3, 0, 0, 0, 0)
    moment = datetime.fromisoformat(bus.taken("mplogin.async")[2].headers["expires"])
    assert abs(moment.timestamp() - (time.time() + 60)) < DEADLINE


def test_a_recording_too_large_for_the_memory_is_read_again(bus, monkeypatch) -> None:
    from mpcli.verbs.replay import sources

    parent = bus.task(1)
    child = bus.task(2, headers={"root_id": parent.headers["id"], "parent_id": parent.headers["id"]})
    file = bus.record(child, parent, *(bus.task(n) for n in range(3, 2000)))
    whole = bus.run(file, limit=1500)
    first = bus.taken("mplogin.async")
    monkeypatch.setattr(sources, "_IN_MEMORY", 0)
    again = bus.run(file, limit=1500)
    assert again.counts() == whole.counts() == (1500, 1499, 0, 0, 1, 0)
    assert [one.planned.number for one in again.not_sent] == [one.planned.number for one in whole.not_sent] == [2]
    assert [message.body for message in bus.taken("mplogin.async")] == [message.body for message in first]


def test_a_journal_goes_with_the_lines_that_the_recording_had(bus) -> None:
    file = Path(bus.record(*(bus.task(n) for n in range(3)), bus.task(3, "mplogin.nobody.x")))
    assert bus.run(str(file)).counts() == (4, 3, 1, 0, 0, 0)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(UsageError, match="was changed since"):
        bus.run(str(file), resume=True)
    file.write_bytes(b"".join([*lines, lines[-1]]))  # what a recorder appends is no change
    assert bus.run(str(file), resume=True).counts() == (4, 3, 1, 0, 0, 0)
    assert bus.count("mplogin.async") == 3


def test_what_is_recorded_after_the_plan_is_not_sent(bus, monkeypatch) -> None:
    from mpcli.verbs.replay import sources

    monkeypatch.setattr(sources, "_IN_MEMORY", 0)  # as of a file too large to be kept
    file = bus.record(bus.task(1), bus.task(2))
    events = replay(bus.folder, file, Choice(), Way(), yes=True)
    assert next(events).selected == 2
    bus.record(bus.task(3), bus.task(4).changed(exchange="nowhere"), broker="sync")
    *_, summary = events
    assert (summary.selected, summary.confirmed, summary.left) == (2, 2, 0)

    def edit(text: str) -> str:
        bus.record(bus.task(5))
        return text

    assert bus.run(file, edit=edit, dry_run=True).plan.selected == 4
    assert bus.count("mplogin.async") == 2


def test_of_a_very_long_queue_so_many_at_once(bus, monkeypatch) -> None:
    from mpcli.verbs.replay import sources

    monkeypatch.setattr(sources, "MOST_AT_ONCE", 3)
    bus.kill(*(bus.task(n) for n in range(5)))
    done = bus.run("mplogin.dead")
    assert done.counts() == (3, 3, 0, 0, 0, 0)
    assert "2 more" in done.plan.warnings[0]
    bus.until("mplogin.dead", 2)
    assert bus.run("mplogin.dead").counts()[1] == 2


@pytest.mark.parametrize("source", ["queue", "recording"])
def test_when_the_broker_hangs_up_it_can_go_on(bus, source) -> None:
    messages = [bus.task(n) for n in range(300)]
    name = "mplogin.dead"
    if source == "queue":
        bus.queue("waiting")
        bus.publish(*(Message("", "waiting", m.raw_properties, m.body) for m in messages))
        done = move(bus.folder, "waiting", "mplogin.async", Choice(), Way(rate=600.0), yes=True)
    else:
        name = bus.record(*messages)
        done = replay(bus.folder, name, Choice(), Way(rate=600.0), yes=True)
    plan = next(done)

    def hang_up_in_the_middle() -> None:
        for event in done:
            if isinstance(event, Sent) and plan.summary.confirmed > 100:
                bus.brokers.async_.close_connections()

    with pytest.raises(BrokerError, match=r"connection|CONNECTION") as gone:
        hang_up_in_the_middle()
    assert "--resume" in gone.value.hint
    assert 100 < plan.summary.confirmed < 300
    if source == "queue":
        again = bus.done(move(bus.folder, "waiting", "mplogin.async", Choice(), Way(), yes=True, resume=True))
    else:
        again = bus.run(name, resume=True)
    assert again.counts() == (300, 300, 0, 0, 0, 0)
    assert {json.loads(message.body)[0][0] for message in bus.taken("mplogin.async")} == set(range(300))


@pytest.mark.parametrize("source", ["queue", "recording"])
def test_a_resume_selects_what_was_selected_and_nothing_else(bus, source) -> None:
    name = "mplogin.dead"
    if source == "queue":
        bus.kill(*(bus.task(n) for n in range(10)))
    else:
        name = bus.record(*(bus.task(n) for n in range(10)))
    begun = replay(bus.folder, name, Choice(where="args[0] > 1", limit=4), Way(rate=20.0), yes=True)
    plan = next(begun)
    while plan.summary is None or plan.summary.confirmed < 2:
        next(begun)
    begun.close()
    bus.until("mplogin.async", before := plan.summary.confirmed)
    if source == "recording":
        bus.record(*(bus.task(n) for n in range(10, 20)))  # the recorder went on
    done = bus.run(name, resume=True)
    assert done.counts() == (4, 4, 0, 0, 0, 0)
    assert done.summary.before == before
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.async")] == [[2], [3], [4], [5]]
    if source == "queue":
        assert [json.loads(message.body)[0] for message in bus.taken("mplogin.dead")] == [
            [0],
            [1],
            *([n] for n in range(6, 10)),
        ]


def test_a_filter_that_matches_nothing_is_an_error_and_nothing_to_send_is_not(bus) -> None:
    file = bus.record(bus.task(1))
    bus.publish(bus.task(1))
    for source in (file, "mplogin.async"):
        for choice in ({"tasks": ["mplogin.async.mial"]}, {"ids": ["ffff"]}, {"where": "kwargs['none'] > 1"}):
            for dry_run in (False, True):
                with pytest.raises(NotFound, match=r"no message of .* matches: nothing was sent"):
                    bus.run(source, dry_run=dry_run, spend=True, **choice)
    bus.until("mplogin.async", 1)
    assert bus.run("mplogin.dead").counts() == (0, 0, 0, 0, 0, 0)
    assert bus.run("mplogin.dead", limit=1).counts() == (0, 0, 0, 0, 0, 0)


def test_one_that_no_broker_can_take_does_not_hold_up_the_others(bus) -> None:
    """Their connection would break, again with each resume."""
    like = bus.task(1)
    bad = [("mplogin", "k" * 300), ("mplogin", "\ud800"), ("e" * 300, "key"), ("\ud800", "key")]
    unnamed = [Message(exchange, key, like.raw_properties, like.body) for exchange, key in bad]
    large = bus.task(2, headers={"large": "x" * 200_000})
    file = bus.record(bus.task(3), *unnamed, large, bus.task(4))
    done = bus.run(file, consequences=True)
    assert done.counts() == (7, 2, 0, 1, 4, 0)
    reasons = {(one.what, one.reason.partition(" of ")[0]) for one in done.not_sent}
    skipped = ("skipped", "its exchange or routing key is none that AMQP can hold")
    assert reasons == {skipped, ("refused", "its properties need a frame")}
    assert [json.loads(message.body)[0] for message in bus.taken("mplogin.async")] == [[3], [4]]
