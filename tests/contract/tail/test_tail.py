"""`mp tail` from outside, on both brokers: what it shows, what it keeps, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mpcli.recording.reader import Reader

DEADLINE = 30.0


def test_messages_of_both_brokers_with_their_outcomes(brokers, bus, tmp_path, task, event, tail, left_behind) -> None:
    with tail(brokers, "mplogin", "--limit", "3", cwd=tmp_path) as running:
        bus.publish(task("mplogin.sync.register", "a@b.c", password="hunter2", amount=5))
        bus.publish(
            event("received", name="x"), event("started"), event("succeeded", runtime=0.012, result="{'id': 7}")
        )
        bus.publish(event("succeeded", "somebody-else", runtime=1, result="1"))
        bus.publish(task("mplogin.sync.other", task_id="id-2"))
        time.sleep(0.3)  # two brokers have no common order; the last message ends the tail
        bus.publish(task("mplogin.async.mail", task_id="id-3"), connection=bus.async_)
        lines = running.json()
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
    with tail(brokers, "mplogin", "--record", str(file), "--for", "3s", cwd=tmp_path) as running:
        bus.publish(*sent, happened)
        assert running.lines() == []  # piped and recording: nothing is decoded, nothing shown
    assert "2000 messages" in running.notes[-1]
    assert " 0 dropped" in running.notes[-1]
    entries = list(Reader(file))
    assert [entry.message for entry in entries] == [*sent, happened]
    assert [entry.kind for entry in entries] == ["task"] * 2000 + ["event"]
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
        assert any("1 messages" in line for line in running.notes)


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
