"""`mp dead`: dead letters made by a broker, grouped and whole, with what their workers said."""

import json
import time

import pytest

from mpcli.errors import NotFound, SafetyRefusal, UsageError
from mpcli.recording.format import EVENT, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.dead import DeadLetter, DeadList, Death, dead, show
from mpcli.wire.handshake import connect
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_REJECT, CHANNEL_CLOSE

# As a worker of Celery 5.7 wrote it.
LOG = """\
[2026-11-25 21:16:47,900: INFO/MainProcess] Task mplogin.async.mail[00000001-id] received
[2026-11-25 21:16:48,032: ERROR/ForkPoolWorker-2] Task mplogin.async.mail[00000001-id] raised unexpected: \
TypeError("mail() got an unexpected keyword argument 'password'")
Traceback (most recent call last):
  File "/x/celery/app/trace.py", line 564, in trace_task
    R = retval = fun(*args, **kwargs)
TypeError: mail() got an unexpected keyword argument 'password'
[2026-11-25 21:16:48,100: ERROR/MainProcess] Received unregistered task of type 'mplogin.async.nothere'.
The message has been ignored and discarded.
[2026-11-25 21:16:49,000: INFO/MainProcess] Task mplogin.async.mail[00000002-id] received
"""


def rejected(here, count: int) -> None:
    """Reject so many messages of mplogin.async, as a worker does with a task that failed."""
    with connect(here.brokers.async_.url) as connection:
        connection.request(BASIC_CONSUME, "mplogin.async", "w", False, False, False, False, {})
        while count:
            incoming = connection.receive(time.monotonic() + 30)
            if incoming.method is BASIC_DELIVER:
                connection.send(BASIC_REJECT.frame(1, incoming.values[1], False))
                count -= 1
        connection.request(CHANNEL_CLOSE, 200, "", 0, 0)  # each rejection is done with then


@pytest.fixture
def letters(here):
    """Five dead letters: three of one task, one of another, one whose workers died."""
    names = ["mplogin.async.mail"] * 3 + ["mplogin.async.nothere"]
    here.publish("async", [here.task(name, n, exchange="mplogin", password="hunter2") for n, name in enumerate(names)])
    rejected(here, 4)
    here.await_count("async", "mplogin.dead", 4)
    here.publish("async", [here.task("mplogin.async.kill", 4, exchange="mplogin")])
    for _ in range(4):
        here.await_count("async", "mplogin.async", 1)
        with hold(here.brokers.async_.url, "mplogin.async") as holding:
            list(holding.take(1))
    here.await_count("async", "mplogin.dead", 5)
    return here


def listed(here, *words: str, **options) -> DeadList:
    *_, found = dead(here.folder, *words, **options)
    assert isinstance(found, DeadList)
    return found


def groups(found: DeadList) -> dict[tuple[str, str, str], list[int]]:
    return {
        (group.task.rpartition(".")[2], group.reason, group.newest.cause.kind if group.newest.cause else ""): sorted(
            int(letter.seen.view.id.partition("-")[0]) for letter in group.letters
        )
        for group in found.groups
    }


def test_they_are_grouped_by_task_and_reason_and_stay(letters) -> None:
    found = listed(letters, "mplogin")
    assert groups(found) == {
        ("mail", "rejected", ""): [0, 1, 2],
        ("nothere", "rejected", ""): [3],
        ("kill", "delivery_limit", ""): [4],
    }
    assert found.queues == {"mplogin.dead": (5, 5)}
    oldest, newest = found.groups[0].times
    assert time.time() - 60 < oldest <= newest < time.time() + 5
    few = listed(letters, "mplogin", limit=2)
    assert few.queues == {"mplogin.dead": (5, 2)}
    letters.await_count("async", "mplogin.dead", 5)


def test_the_logs_and_a_recording_tell_why(letters, tmp_path) -> None:
    folder = letters.folder
    (folder / "mp.toml").write_text('[platform]\nname = "shop"\n')
    (folder / ".mp" / "logs").mkdir(parents=True)
    (folder / ".mp" / "logs" / "mplogin.async.log").write_text(LOG)
    event = {"type": "task-failed", "uuid": "00000002-id", "exception": "KeyError('user')", "traceback": "tb"}
    with Writer(tmp_path / "seen.mprec") as writer:
        message = Message.build("celeryev", "task.failed", {}, json.dumps(event | {"timestamp": 1.0}).encode())
        writer.write([Entry(EVENT, 1.0, "async", message)])
    found = listed(letters, "mplogin", recording=tmp_path / "seen.mprec")
    assert groups(found) == {
        ("mail", "rejected", ""): [0],
        ("mail", "rejected", "TypeError"): [1],
        ("mail", "rejected", "KeyError"): [2],
        ("nothere", "rejected", "unregistered: no worker knew the task mplogin.async.nothere"): [3],
        ("kill", "delivery_limit", ""): [4],
    }
    code, out, _ = letters.mp("dead", "mplogin")
    group = next(group for group in json.loads(out) if group["ids"] == ["00000001-id"])
    assert (code, group["count"], group["reason"]) == (0, 1, "rejected")
    assert "unexpected keyword argument" in group["error"]


def test_one_whole_by_the_beginning_of_its_id(letters) -> None:
    (letter,) = (
        event for event in show(letters.folder, "00000001", service="mplogin") if isinstance(event, DeadLetter)
    )
    assert letters.number(letter.seen.message) == 1
    assert letter.seen.view.kwargs == {"password": "hunter2"}
    (death,) = letter.deaths
    assert (death.reason, death.queue, death.exchange, death.count) == ("rejected", "mplogin.async", "mplogin", 1)
    assert death.routing_keys == ["mplogin.async.mail"]
    with pytest.raises(UsageError, match="5 ids begin with 0000"):
        list(show(letters.folder, "0000", service="mplogin"))
    with pytest.raises(NotFound):
        list(show(letters.folder, "12345678", service="mplogin"))
    with pytest.raises(UsageError, match="too short"):
        list(show(letters.folder, "0", service="mplogin"))
    code, out, _ = letters.mp("dead", "show", "00000004", "mplogin")
    shown = json.loads(out)
    assert (code, shown["reason"], shown["task"]) == (0, "delivery_limit", "mplogin.async.kill")
    assert "hunter2" not in letters.mp("dead", "show", "00000001", "mplogin")[1]


def test_none_and_nowhere(here) -> None:
    assert listed(here, "mplogin").groups == []
    with pytest.raises(UsageError, match="no service is known"):
        list(dead(here.folder))
    with pytest.raises(NotFound):
        list(dead(here.folder, "mpnothere"))


def test_a_readonly_context_may_look_and_a_limited_queue_may_not(here) -> None:
    here.context("readonly")
    here.fill("async", "mplogin.dead", 1)
    assert len(listed(here, "mplogin", context="guarded").groups) == 1
    here.declare("async", "mplimited.dead", x_queue_type="quorum", x_delivery_limit=5)
    here.fill("async", "mplimited.dead", 1)
    with pytest.raises(SafetyRefusal, match="delivery limit of 5"):
        list(dead(here.folder, "mplimited"))


def test_nonsense_in_the_place_of_a_death_is_shown_as_far_as_it_goes(here) -> None:
    for moment in (float("nan"), float("inf")):  # which a broker need not take: RabbitMQ does not
        assert Death({"time": moment}).at is None
    deaths = [{"time": moment, "exchange": "e", "queue": "q\x1b[31m"} for moment in (-1e300, 1e300, 2**62)]
    here.publish(
        "async",
        [
            here.task("mplogin.async.mail", number, key="mplogin.dead", headers={"x-death": nonsense})
            for number, nonsense in enumerate([*([death] for death in deaths), "nonsense", [1, {"time": "now"}]])
        ],
    )
    for number in range(5):
        code, out, said = here.mp("dead", "show", f"0000000{number}", "mplogin")
        assert (code, "\x1b" in out) == (0, False), said
    assert sum(len(group.letters) for group in listed(here, "mplogin").groups) == 5
