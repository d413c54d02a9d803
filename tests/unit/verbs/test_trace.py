"""A trace is put together from what Celery itself writes: messages, chains, retries, events, dead letters."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from celery import Celery, chain, chord, group
from kombu.serialization import dumps

from mpcli.errors import NotFound, UsageError
from mpcli.recording.format import DEAD, DROPPED, EVENT, GAP, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.render.trace import trace_as_dict
from mpcli.render.waterfall import check_picture, waterfall, write_picture
from mpcli.verbs.lineage import Step
from mpcli.verbs.trace import Trace, trace_file
from mpcli.wire.message import Message

T0 = 1_767_276_200.0
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e<script>&\"'"
app = Celery("tests", set_as_current=False)


@app.task(name="mplogin.async.work")
def work(*args, **kwargs):
    """Never run."""


@app.task(name="mplogin.async.last")
def last(*args, **kwargs):
    """Never run."""


class Recording:
    """Entries with a clock of seconds behind T0."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []

    def sent(self, at: float, task_id: str, task: str = "mplogin.sync.register", kind: str = TASK, **more) -> None:
        given = {"root_id": task_id, "parent_id": None, "broker": "sync", "headers": {}, **more}
        broker, headers = given.pop("broker"), given.pop("headers")
        sent = app.amqp.as_task_v2(task_id, task, (1,), {"password": "hunter2"}, **given)
        content_type, encoding, body = dumps(sent.body, "json")
        properties = {"content_type": content_type, "content_encoding": encoding}
        exchange = task.partition(".")[0] + (".dead" if kind == DEAD else "")
        message = Message.build(exchange, task, {**properties, "headers": {**sent.headers, **headers}}, body.encode())
        self.entries.append(Entry(kind, T0 + at, broker, message))

    def told(self, at: float, what: str, task_id: str, broker: str = "sync", seen: float | None = None, **more) -> None:
        event = {"type": f"task-{what}", "uuid": task_id, "timestamp": T0 + at, "hostname": "w@h", **more}
        message = Message.build("celeryev", f"task.{what}", {}, json.dumps([event]).encode())
        self.entries.append(Entry(EVENT, T0 + (at if seen is None else seen), broker, message))

    def ran(self, at: float, task_id: str, seconds: float, broker: str = "sync", **more) -> None:
        self.told(at, "received", task_id, broker, **more)
        self.told(at, "started", task_id, broker)
        self.told(at + seconds, "succeeded", task_id, broker, runtime=seconds, result="None")

    def trace(self, wanted: str) -> Trace:
        with Writer(self.path) as writer:
            writer.write(self.entries)
        return trace_file(self.path, wanted)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path / "seen.mprec")


def tree(trace: Trace) -> list[tuple[int, str, str]]:
    return [(step.depth, step.id, step.relation) for step in trace.steps]


def by_id(trace: Trace) -> dict[str, Step]:
    return {step.id: step for step in trace.steps}


@pytest.fixture
def login(recording: Recording) -> Recording:
    """Register calls a wallet and sends a mail; somebody else's task passes in between."""
    recording.sent(0.0, "aaa-root")
    recording.told(0.001, "received", "aaa-root")
    recording.told(0.002, "started", "aaa-root")
    recording.sent(0.010, "bbb-wallet", "mpwallet.sync.open", root_id="aaa-root", parent_id="aaa-root")
    recording.sent(0.011, "zzz-other")
    recording.ran(0.014, "bbb-wallet", 0.02)
    recording.sent(0.040, "ccc-mail", "mplogin.async.mail", root_id="aaa-root", parent_id="aaa-root", broker="async")
    recording.told(0.050, "succeeded", "aaa-root", runtime=0.048, result="{'token': 'hunter2'}")
    recording.ran(0.045, "ccc-mail", 0.1, "async")
    return recording


@pytest.mark.parametrize("wanted", ["aaa-root", "aaa", "bbb-wallet", "ccc", '"aaa-root"'])
def test_an_id_of_any_task_or_its_beginning_finds_the_whole_tree(login, wanted) -> None:
    trace = login.trace(wanted)
    assert tree(trace) == [(0, "aaa-root", ""), (1, "bbb-wallet", ""), (1, "ccc-mail", "")]
    assert trace.complete
    wallet, mail = (by_id(trace)[name].attempts[0] for name in ("bbb-wallet", "ccc-mail"))
    assert wallet.waited == pytest.approx(0.004, abs=1e-5)
    assert wallet.ran == 0.02
    assert mail.waited == pytest.approx(0.005, abs=1e-5)
    assert trace.ended - trace.begun == pytest.approx(0.145, abs=1e-5)
    assert {step.broker for step in trace.steps} == {"sync", "async"}


def test_what_is_not_there_and_what_is_not_the_only_one(login) -> None:
    with pytest.raises(NotFound, match="nope"):
        login.trace("nope")
    with pytest.raises(UsageError):
        login.trace("")
    login.sent(2.0, "aaa-again")
    with pytest.raises(UsageError, match="2 roots") as caught:
        login.trace("aaa")
    assert "aaa-root mplogin.sync.register" in caught.value.hint
    assert login.trace("aaa-root").root_id == "aaa-root"


def test_an_id_that_begins_another_one_is_exact(recording) -> None:
    recording.sent(0.0, "1")
    recording.sent(0.1, "12")
    assert recording.trace("1").root_id == "1"


def test_retries_are_attempts_of_one_task(recording) -> None:
    recording.sent(0.0, "r")
    recording.told(0.1, "received", "r", retries=0)
    recording.told(0.1, "started", "r")
    recording.sent(0.2, "r", retries=1)  # before the worker tells that the first attempt ended
    recording.told(0.2, "received", "r", retries=1)
    recording.told(0.3, "retried", "r", exception="ValueError('not yet')")
    recording.told(1.2, "started", "r")
    recording.told(1.5, "succeeded", "r", runtime=0.3, result="7")
    (step,) = recording.trace("r").steps
    first, second = step.attempts
    assert (first.retries, first.outcome, first.error) == (0, "retried", "ValueError('not yet')")
    assert (second.retries, second.outcome, second.ran, second.waited) == (
        1,
        "succeeded",
        0.3,
        pytest.approx(1.0, abs=1e-5),
    )
    assert first.ran == pytest.approx(0.2, abs=1e-5)


def test_a_task_that_its_worker_took_to_the_grave_is_delivered_again(recording) -> None:
    recording.sent(0.0, "r")
    for at in (0.1, 5.0):
        recording.told(at, "received", "r", retries=0)
        recording.told(at, "started", "r")
    recording.told(5.1, "succeeded", "r", runtime=0.1)
    trace = recording.trace("r")
    assert [attempt.outcome for attempt in trace.steps[0].attempts] == ["", "succeeded"]
    assert trace.complete


def test_a_failed_task_is_rejected_too_and_becomes_a_dead_letter(recording) -> None:
    recording.sent(0.0, "r")
    recording.told(0.1, "received", "r", retries=0)
    recording.told(0.1, "started", "r")
    recording.told(0.2, "rejected", "r")
    recording.told(0.2, "failed", "r", exception="ValueError('boom')", traceback="...")
    recording.sent(0.3, "r", kind=DEAD)
    (step,) = recording.trace("r").steps
    (attempt,) = step.attempts
    assert (attempt.outcome, attempt.error) == ("failed", "ValueError('boom')")
    assert step.deaths == [pytest.approx(T0 + 0.3)]


def chained(recording: Recording) -> list[str]:
    steps = chain(work.s(1), work.s(2), last.s(3))
    steps.freeze()
    ids = [step.id for step in steps.tasks]
    rest = [dict(step) for step in reversed(steps.tasks[1:])]
    recording.sent(0.0, ids[0], "mplogin.async.work", chain=rest)
    recording.ran(0.0, ids[0], 0.1)
    recording.sent(0.1, ids[1], "mplogin.async.work", root_id=ids[0], parent_id=ids[0], chain=rest[:1])
    return ids


def test_a_chain_shows_what_is_still_to_come(recording) -> None:
    ids = chained(recording)
    trace = recording.trace(ids[0])
    assert tree(trace) == [(0, ids[0], ""), (1, ids[1], "chain"), (2, ids[2], "chain")]
    assert [step.planned for step in trace.steps] == [False, False, True]
    assert trace.steps[2].task == "mplogin.async.last"
    assert not trace.complete


@pytest.mark.parametrize(("outcome", "complete"), [("succeeded", False), ("failed", True)])
def test_a_chain_goes_on_after_a_success_only(recording, outcome, complete) -> None:
    ids = chained(recording)
    recording.told(0.2, outcome, ids[1])
    assert recording.trace(ids[0]).complete is complete


def test_a_group_a_chord_and_a_callback(recording) -> None:
    body = last.s().set(task_id="body")
    recording.sent(0.0, "root")
    for name in ("one", "two"):
        family = {"root_id": "root", "parent_id": "root", "group_id": "g"}
        recording.sent(0.1, name, "mplogin.async.work", chord=dict(body), **family)
        recording.ran(0.1, name, 0.1)
    callback = work.s().set(task_id="then")
    recording.sent(0.3, "body", "mplogin.async.last", root_id="root", parent_id="two", callbacks=[dict(callback)])
    recording.sent(0.4, "then", "mplogin.async.work", root_id="root", parent_id="body")
    assert isinstance(chord(group(work.s()), body), chord)  # the signatures above are those that a chord puts there
    assert tree(recording.trace("root")) == [
        (0, "root", ""),
        (1, "one", "group"),
        (1, "two", "group"),
        (2, "body", "chord"),
        (3, "then", "callback"),
    ]


def test_joined_in_the_middle_it_shows_what_was_not_seen(recording) -> None:
    recording.sent(1.0, "child", root_id="root", parent_id="mid")
    recording.told(2.0, "succeeded", "child", runtime=0.1)
    trace = recording.trace("root")
    assert sorted(step.id for step in trace.steps) == ["child", "mid", "root"]
    assert by_id(trace)["child"].depth > by_id(trace)["mid"].depth
    assert by_id(trace)["root"].seen is None
    assert trace.complete


def test_events_alone_make_a_tree_where_messages_went_another_way(recording) -> None:
    recording.told(0.0, "received", "root", name="mplogin.sync.a", root_id="root", parent_id=None)
    recording.ran(0.1, "child", 0.2, name="mpwallet.sync.b", root_id="root", parent_id="root")
    trace = recording.trace("root")
    assert [(step.depth, step.task) for step in trace.steps] == [(0, "mplogin.sync.a"), (1, "mpwallet.sync.b")]


def test_clocks_that_disagree_make_no_negative_times(recording) -> None:
    recording.sent(100.0, "r")
    recording.told(-3600.0, "started", "r", seen=100.2)
    recording.told(99.0, "succeeded", "r", seen=100.3)
    (attempt,) = recording.trace("r").steps[0].attempts
    assert attempt.waited == pytest.approx(0.2, abs=1e-5)
    assert attempt.ran == 0.0


def test_a_sender_that_tells_when_it_sent_is_believed(recording) -> None:
    recording.sent(1.0, "r", headers={"mp_sent": T0 + 0.75})
    recording.sent(2.0, "s", headers={"mp_sent": T0 - 1e6}, root_id="r")
    one, other = (step.attempts[0].sent for step in recording.trace("r").steps)
    assert (one, other) == (T0 + 0.75, T0 + 2.0)


def test_parents_in_a_circle_and_ids_of_a_hostile_sender_end(recording) -> None:
    recording.sent(0.0, "root")
    recording.sent(0.1, "a", root_id="root", parent_id="b")
    recording.sent(0.2, "b", root_id="root", parent_id="a")
    recording.sent(0.3, "self", root_id="root", parent_id="self")
    recording.sent(0.4, HOSTILE, HOSTILE, root_id="root", parent_id=HOSTILE)
    trace = recording.trace("root")
    assert sorted(step.id for step in trace.steps) == sorted(["root", "a", "b", "self", HOSTILE])
    json.dumps(trace_as_dict(trace, {}))


def test_who_tells_another_root_later_changes_nothing(recording) -> None:
    recording.sent(0.0, "mine")
    recording.told(0.1, "received", "mine", root_id="other", parent_id="other", name="else")
    recording.told(0.2, "succeeded", "mine", runtime=float("inf"), retries=float("inf"))
    (step,) = (step for step in recording.trace("mine").steps if step.attempts)
    assert (step.id, step.attempts[0].outcome, step.task) == ("mine", "succeeded", "mplogin.sync.register")
    json.dumps(trace_as_dict(recording.trace("mine"), {}), allow_nan=False)
    with pytest.raises(NotFound):
        recording.trace("other")


def test_one_id_again_and_again_does_not_cost_its_square(recording) -> None:
    for _ in range(3000):
        recording.told(1.0, "received", "same")
    assert len(recording.trace("same").steps[0].attempts) == 1000


def test_a_chain_of_thousands_is_no_recursion(recording, tmp_path) -> None:
    for number in range(3000):
        parent = f"n{number - 1}" if number else None
        recording.sent(number / 1000, f"n{number}", root_id="n0", parent_id=parent)
    trace = recording.trace("n0")
    assert [step.depth for step in trace.steps] == list(range(3000))
    assert waterfall(trace, {}).count("<g>") == 3000
    assert len(json.dumps(trace_as_dict(trace, {}))) > 100_000


def test_what_the_recorder_missed_is_told(login) -> None:
    login.entries.append(Entry(GAP, T0 + 1, "sync", fields={"since": T0, "seconds": 1.0}))
    login.entries.append(Entry(DROPPED, T0 + 1, "sync", fields={"count": 7, "exact": True}))
    trace = login.trace("aaa-root")
    assert (trace.dropped, trace.gaps) == (7, 1)


def test_json_masks_secrets_and_is_flat(login) -> None:
    found = trace_as_dict(login.trace("aaa-root"), {"mplogin.sync.register": ["secret"]})
    assert "hunter2" not in json.dumps(found)
    first = found["tasks"][0]
    assert (first["args"], first["kwargs"], first["state"]) == (["***"], {"password": "***"}, "succeeded")
    assert [task["depth"] for task in found["tasks"]] == [0, 1, 1]
    assert first["attempts"][0]["waited"] == pytest.approx(0.002, abs=1e-5)


def test_the_picture_is_xml_without_a_control_and_without_a_secret(recording, tmp_path) -> None:
    recording.sent(0.0, "root")
    recording.sent(0.1, HOSTILE, HOSTILE, root_id="root", parent_id="root")
    recording.told(0.2, "started", HOSTILE)
    recording.told(0.3, "failed", HOSTILE, exception=HOSTILE)
    recording.sent(0.3, HOSTILE, HOSTILE, kind=DEAD, root_id="root")
    text = waterfall(recording.trace("root"), {})
    assert not [char for char in text if char in "\x1b\x07\x9b\u202e"]
    assert "hunter2" not in text
    root = ET.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "g", "title", "rect", "line", "text", "path"}
    titles = [element.text for element in root.iter() if element.tag.endswith("title")]
    assert any("<script>" in title for title in titles)


def test_a_picture_never_replaces_anything_else(login, tmp_path) -> None:
    picture = tmp_path / "seen.svg"
    for _ in range(2):
        check_picture(picture)
        write_picture(picture, login.trace("aaa-root"), {})
    assert picture.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="no SVG"):
        check_picture(login.path)
