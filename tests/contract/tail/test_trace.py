"""`mp trace ID`, live, on both brokers: it joins what passes, ends when all has ended, and shows what there is."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mpcli.wire.message import Message

DEADLINE = 30.0
ROOT = "0f0f-root"


@contextmanager
def trace(brokers, cwd, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A running `mp trace` that is tapping."""
    environment = {**os.environ, "MP_SYNC_URL": brokers.sync.url, "MP_ASYNC_URL": brokers.async_.url}
    command = [sys.executable, "-m", "mpcli", "trace", *argv, "--service", "mplogin"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd
    ) as process:
        timer = threading.Timer(DEADLINE, process.kill)
        timer.start()
        try:
            assert "tapping mplogin" in process.stderr.readline()
            yield process
        finally:
            timer.cancel()
            process.kill()


def under_root(message: Message) -> Message:
    return message.changed(headers={**message.headers, "root_id": ROOT, "parent_id": ROOT})


def test_it_joins_both_brokers_and_ends_by_itself(brokers, bus, tmp_path, task, event, left_behind) -> None:
    with trace(brokers, tmp_path, "0f0f", "--for", "25s") as running:
        bus.publish(task("mplogin.sync.register", task_id=ROOT), event("started", ROOT))
        bus.publish(task("mplogin.sync.other", task_id="somebody-else"))
        bus.publish(under_root(task("mplogin.async.mail", task_id="mail-1")), connection=bus.async_)
        bus.publish(event("succeeded", ROOT, runtime=0.1, result="1"))
        bus.publish(event("succeeded", "mail-1", runtime=0.2, result="None"), connection=bus.async_)
        found = json.loads(running.stdout.read())
        assert running.wait(DEADLINE) == 0
    assert found["complete"] is True
    tasks = [(one["depth"], one["task"], one["broker"], one["state"]) for one in found["tasks"]]
    assert tasks == [(0, "mplogin.sync.register", "sync", "succeeded"), (1, "mplogin.async.mail", "async", "succeeded")]
    assert found["tasks"][1]["attempts"][0]["seconds"] == 0.2
    assert left_behind(brokers) == set()


def test_what_does_not_end_is_shown_when_the_time_is_over(brokers, bus, tmp_path, task) -> None:
    with trace(brokers, tmp_path, ROOT, "--for", "2s") as running:
        bus.publish(task("mplogin.sync.register", task_id=ROOT))
        found = json.loads(running.stdout.read())
        assert running.wait(DEADLINE) == 0
    assert (found["complete"], found["tasks"][0]["state"]) == (False, "waiting")


def test_ctrl_c_shows_what_there_is(brokers, bus, tmp_path, task, left_behind) -> None:
    with trace(brokers, tmp_path, ROOT, "--for", "25s") as running:
        bus.publish(task("mplogin.sync.register", task_id=ROOT), task("mplogin.sync.last", task_id="last"))
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        text = running.stdout.read()
        assert running.wait(DEADLINE) == 130
    # Whether the message was seen by then is the broker's affair.
    assert ("nothing of it passed" in said) == (text == "")
    assert not text or json.loads(text)["root_id"] == ROOT
    assert left_behind(brokers) == set()


def test_nothing_of_it_passed(brokers, bus, tmp_path, task) -> None:
    with trace(brokers, tmp_path, "nope", "--for", "1s") as running:
        bus.publish(task("mplogin.sync.register", task_id=ROOT))
        assert running.stdout.read() == ""
        assert running.wait(DEADLINE) == 5
        assert "nothing of 'nope' passed" in running.stderr.read()


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ([], 2, "which trace?"),
        (["a", "b", "c"], 2, "which trace?"),
        (["a", "--for", "soon"], 2, "not a time"),
        (["a", "missing.mprec"], 2, "there is no file missing.mprec"),
        (["a", "--svg", "notes.txt"], 2, "no SVG picture"),
        (["a", "--svg", "nowhere/a.svg"], 2, "there is no folder nowhere"),
        (["a"], 2, "no service is known"),
        (["--call", "mplogin.sync"], 2, "mplogin.sync"),
    ],
)
def test_usage_errors_come_before_anything_is_opened(tmp_path, argv, code, said) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    environment = {**os.environ, "MP_SYNC_URL": "amqp://127.0.0.1:1/", "MP_ASYNC_URL": "amqp://127.0.0.1:1/"}
    command = [sys.executable, "-m", "mpcli", "trace", *argv]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"
