"""`mp tail` from outside, on both brokers: what it shows, what it keeps, how it ends."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mpcli.recording.reader import Reader
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_DECLARE
from mpcli.wire.publisher import Publisher

DEADLINE = 60.0


def stop(pid: int) -> None:
    """Let it stand still: what is sent to a process reaches it a moment later."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


def test_messages_of_both_brokers_with_their_outcomes(brokers, bus, tmp_path, task, event, tail, left_behind) -> None:
    with tail(brokers, "mplogin", "--limit", "3", cwd=tmp_path) as running:
        bus.publish(task("mplogin.sync.register", "a@b.c", password="hunter2", amount=5))
        bus.publish(
            event("received", name="x"), event("started"), event("succeeded", runtime=0.012, result="{'id': 7}")
        )
        bus.publish(event("succeeded", "somebody-else", runtime=1, result="1"))
        bus.publish(task("mplogin.sync.other", task_id="id-2"))
        lines = running.up_to(lambda line: line.get("id") == "id-2")  # two brokers have no common order
        bus.publish(task("mplogin.async.mail", task_id="id-3"), connection=bus.async_)
        lines += running.json()
    first, *rest = lines
    assert (first["kind"], first["broker"], first["task"]) == ("message", "sync", "mplogin.sync.register")
    assert (first["args"], first["kwargs"]) == (["a@b.c"], {"password": "***", "amount": 5})
    assert (first["id"], first["retries"], first["eta"]) == ("id-1", 0, None)
    assert [line["outcome"] for line in rest if line["kind"] == "outcome"] == ["received", "started", "succeeded"]
    done = next(line for line in rest if line.get("outcome") == "succeeded")
    assert (done["id"], done["task"], done["seconds"]) == ("id-1", "mplogin.sync.register", 0.012)
    assert [line["broker"] for line in lines if line["kind"] == "message"] == ["sync", "sync", "async"]
    assert running.process.returncode == 0
    assert "3 messages" in running.notes[-1]
    assert left_behind(brokers) == set()


def test_where_and_patterns_leave_out_the_rest(brokers, bus, tmp_path, task, tail) -> None:
    where = 'task.endswith("register") and kwargs["amount"] > 100'
    with tail(brokers, "mplogin.sync.re*", "--where", where, "--limit", "1", cwd=tmp_path) as running:
        bus.publish(
            task("mplogin.sync.other", amount=500),
            task("mplogin.sync.register", task_id="none"),
            task("mplogin.sync.register", amount=100),
            task("mplogin.sync.register", amount=101, task_id="wanted"),
        )
        lines = running.json()
    assert [line["id"] for line in lines] == ["wanted"]
    assert "KeyError" in running.notes[-1]


def test_a_dead_letter_is_shown_with_its_reason(brokers, bus, tmp_path, task, tail) -> None:
    message = task("mplogin.async.mail", task_id="id-9", exchange="mplogin.dead")
    death = {"x-death": [{"reason": "rejected", "queue": "mplogin.async", "count": 1}]}
    message = message.changed(headers={**message.headers, **death})
    with tail(brokers, "mplogin", "--limit", "1", cwd=tmp_path) as running:
        bus.publish(message, connection=bus.async_)
        (line,) = running.json()
    assert (line["kind"], line["reason"], line["task"]) == ("dead", "rejected", "mplogin.async.mail")


def test_a_recording_holds_what_was_sent_unmasked(brokers, bus, tmp_path, task, event, tail) -> None:
    file = tmp_path / "seen.mprec"
    sent = [task("mplogin.sync.register", task_id=str(n), password="hunter2", n=n) for n in range(2000)]
    happened = event("succeeded", "7", runtime=0.1, result="1")
    with tail(brokers, "mplogin", "--record", str(file), "--limit", "2000", cwd=tmp_path) as running:
        bus.publish(happened, *sent)
        assert running.lines() == []  # piped and recording: nothing is decoded, nothing shown
    assert "2000 messages, 1 event message," in running.notes[-1]
    assert " 0 dropped" in running.notes[-1]
    entries = list(Reader(file))
    assert [entry.message for entry in entries] == [happened, *sent]
    assert [entry.kind for entry in entries] == ["event"] + ["task"] * 2000
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whatever_ends_it_nothing_is_left_behind(brokers, bus, tmp_path, task, tail, left_behind, number) -> None:
    file = tmp_path / "seen.mprec"
    with tail(brokers, "mplogin", "--record", str(file), "--json", cwd=tmp_path) as running:
        bus.publish(task("mplogin.sync.register"))
        assert json.loads(running.process.stdout.readline())["task"] == "mplogin.sync.register"
        running.process.send_signal(number)
        running.process.wait(DEADLINE)
        running.lines()
    assert len(list(Reader(file))) == 1
    assert left_behind(brokers) == set()
    assert running.process.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert any("1 message," in line for line in running.notes)


def test_usage_errors_come_before_anything_is_opened(brokers, tmp_path) -> None:
    environment = {**os.environ, "MP_SYNC_URL": brokers.sync.url, "MP_ASYNC_URL": brokers.async_.url}
    for argv, code, said in [
        ([], 2, "no service is known"),
        (["mplogin", "--where", "kwargs["], 2, "not a Python expression"),
        (["mplogin", "--where", "amount > 1"], 2, "amount"),
        (["mplogin", "--for", "soon"], 2, "not a time"),
        (["mpnothere", "--record", str(tmp_path / "file")], 5, "mpnothere"),
    ]:
        command = [sys.executable, "-m", "mpcli", "tail", *argv]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_full_shows_the_type_of_each_header_and_what_cannot_be_decoded(brokers, bus, tmp_path, task, tail) -> None:
    message = task("mplogin.sync.register", password="hunter2")
    message = message.changed(
        headers={**message.headers, "width": Typed("s", 3), "at": Typed("T", 17), "api_key": "hunter2"}, priority=3
    )
    opaque = message.changed(content_type="application/x-python-serialize")
    with tail(brokers, "mplogin", "--full", "--limit", "2", cwd=tmp_path) as running:
        bus.publish(message, opaque)
        first, second = running.json()
    assert first["headers"]["width"] == {"type": "int16", "value": 3}
    assert first["headers"]["at"] == {"type": "timestamp", "value": 17}
    assert first["headers"]["api_key"]["value"] == "***"
    assert (first["properties"]["priority"], first["redelivered"]) == (3, False)
    assert "pickle" in second["opaque"]
    assert second["opcodes"]
    assert "hunter2" not in json.dumps([first, second["headers"]])


def test_a_limit_is_exact_and_so_is_the_recording(brokers, bus, tmp_path, task, tail) -> None:
    for name, more in (("shown", ["--json"]), ("copied", []), ("quiet", ["--json", "--quiet"])):
        file = tmp_path / name
        with tail(brokers, "mplogin", "--limit", "7", "--record", str(file), *more, cwd=tmp_path) as running:
            bus.publish(*(task("mplogin.sync.register", task_id=str(n)) for n in range(50)))
            lines = running.json()
        assert len(lines) == (7 if name == "shown" else 0)
        assert [entry.message.headers["id"] for entry in Reader(file)] == [str(n) for n in range(7)]


def test_what_goes_by_the_name_of_a_queue_is_not_seen_and_that_is_said(brokers, bus, tmp_path, task, tail) -> None:
    bus.sync.request(QUEUE_DECLARE, "mplogin.sync", False, False, False, False, False, {})
    with tail(brokers, "mplogin", "--limit", "1", cwd=tmp_path) as running:
        bus.publish(
            task("mplogin.sync", task_id="by-queue", exchange=""), task("mplogin.sync.x", task_id="by-exchange")
        )
        assert [line["id"] for line in running.json()] == ["by-exchange"]
    assert "not replies, nor what is sent to a queue by its name" in running.notes[0]


def test_stopped_it_is_bounded_and_tells_how_much_it_lost(brokers, bus, tmp_path, task, tail) -> None:
    total, file = 3000, tmp_path / "seen.mprec"
    seen = dropped = 0
    with tail(brokers, "mplogin", "--json", "--bound", "10", "--record", str(file), cwd=tmp_path) as running:
        stop(running.process.pid)
        bus.publish(*(task("mplogin.sync.register", task_id=str(n)) for n in range(total)))
        # All of it is there by the answer.
        bus.sync.request(QUEUE_DECLARE, "behind", False, False, True, False, False, {}, wait=60)
        running.process.send_signal(signal.SIGCONT)
        for line in map(json.loads, running.process.stdout):
            seen += line["kind"] == "message"
            dropped += line["count"] if line["kind"] == "dropped" else 0
            if seen + dropped >= total:
                break
        running.process.send_signal(signal.SIGINT)
        assert running.lines() == []
    assert seen + dropped == total
    assert dropped > 0
    assert f"{dropped} dropped" in running.notes[-1]
    assert sum(entry.fields["count"] for entry in Reader(file) if entry.kind == "dropped") == dropped


def test_a_gap_is_told_and_recorded(brokers, bus, tmp_path, task, tail) -> None:
    file = tmp_path / "seen.mprec"
    with tail(brokers, "mplogin", "--json", "--limit", "1", "--record", str(file), cwd=tmp_path) as running:
        brokers.async_.close_connections()
        assert running.next("lost")["broker"] == "async"
        gap = running.next("gap")
        assert (gap["broker"], gap["seconds"] > 0) == ("async", True)
        with connect(brokers.async_.url) as again:
            bus.publish(task("mplogin.async.mail", task_id="behind"), connection=again)
            assert [line["id"] for line in running.json()] == ["behind"]
    assert "1 gap of" in running.notes[-1]
    assert [entry.kind for entry in Reader(file)] == ["gap", "task"]


@pytest.mark.timeout(240)
def test_it_survives_a_restart_of_the_broker(own_broker, tmp_path, task, tail) -> None:
    with connect(own_broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
    both = SimpleNamespace(sync=own_broker, async_=own_broker)
    with tail(both, "mplogin", "--json", "--limit", "2", cwd=tmp_path) as running:
        own_broker.restart()
        assert {running.next("gap")["broker"], running.next("gap")["broker"]} == {"sync", "async"}
        with connect(own_broker.url) as connection:
            message = task("mplogin.sync.x", task_id="behind")
            connection.send(message.publish_frames(1, connection.frame_max, mandatory=False))
            assert [running.next("message")["id"] for _ in range(2)] == ["behind"] * 2


def test_killed_at_any_moment_it_has_written_all_that_it_acknowledged(brokers, bus, tmp_path, task, tail) -> None:
    total, chance = 4000, random.Random(6)
    some = [task("mplogin.sync.register", task_id=str(n), text="x" * 300) for n in range(total)]
    size = sum(len(message.body) for message in some)
    for number in range(4):
        file = tmp_path / f"{number}.mprec"
        with tail(brokers, "mplogin", "--record", str(file), cwd=tmp_path) as running, connect(brokers.sync.url) as own:
            far_enough = chance.randrange(size)
            publisher = Publisher(own)
            sending = threading.Thread(target=lambda publisher=publisher: list(publisher.publish(some)))
            sending.start()
            while file.stat().st_size < far_enough and sending.is_alive():
                time.sleep(0.001)
            stop(running.process.pid)
            sending.join(DEADLINE)  # all are confirmed: what is not acknowledged is in the tap's queue
            waiting = sum(n for name, n in brokers.sync.queues().items() if re.fullmatch("mp.tail.[0-9a-f]+", name))
            running.process.kill()
            running.process.wait(DEADLINE)
        recorded = [entry.message.headers["id"] for entry in Reader(file)]
        assert recorded == [str(n) for n in range(len(recorded))]
        assert total - waiting <= len(recorded)
