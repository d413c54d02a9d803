"""`mp call --batch` from outside, on both brokers: a result for each line, and after any end it is known which ran."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_GET, BASIC_GET_OK, EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from tests.contract.conftest import EchoService

MP = os.path.join(os.path.dirname(sys.executable), "mp")
ECHO, MAIL = "mplogin.sync.echo", "mplogin.async.mail"


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


class Folder:
    """A folder to run `mp call --batch` in, against one broker."""

    def __init__(self, path, url):
        self.path = path
        self.started = None
        self.environment = {**os.environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": url}

    def lines(self, *rows):
        (self.path / "in").write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))

    def start(self, *words, task=ECHO, out="out"):
        with open(self.path / "in") as lines, open(self.path / out, "wb") as results:
            self.started = subprocess.Popen(
                [MP, "call", task, "--batch", *words],
                cwd=self.path, env=self.environment, text=True, stderr=subprocess.PIPE,
                stdin=lines, stdout=results,
            )  # fmt: skip
        return self.started

    def run(self, *words, **options):
        process = self.start(*words, **options)
        _, errors = process.communicate(timeout=90)
        return process.returncode, self.results(options.get("out", "out")), errors

    def piped(self, *words, task=ECHO):
        done = subprocess.run(
            [MP, "call", task, "--batch", *words], cwd=self.path, env=self.environment, check=False, timeout=60,
            input=(self.path / "in").read_text(), capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def endless(self, *words, task=ECHO):
        """With a stream of lines that never ends."""
        source = subprocess.Popen(["yes", "[1]"], stdout=subprocess.PIPE)
        try:
            done = subprocess.run(
                [MP, "call", task, "--batch", *words], cwd=self.path, env=self.environment, check=False, timeout=60,
                stdin=source.stdout, capture_output=True, text=True,
            )  # fmt: skip
        finally:
            source.kill()
            source.stdout.close()
            source.wait(30)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def results(self, out="out"):
        return [json.loads(line) for line in (self.path / out).read_text().splitlines()]


def not_called(results, code):
    """The lines which a batch that ended early did not call."""
    told = [one for one in results if one.get("error", {}).get("kind") == "not called"]
    assert {(one["ok"], one["error"]["code"]) for one in told} <= {(False, code)}
    return [one["line"] for one in told]


@pytest.fixture
def folder(broker, tmp_path):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        for queue in ("mplogin.sync", "mplogin.async"):
            connection.request(QUEUE_DECLARE, queue, False, True, False, False, False, {})
            connection.request(QUEUE_BIND, queue, "mplogin", f"{queue}.#", False, {})
    folder = Folder(tmp_path, broker.url)
    yield folder
    if folder.started is not None and folder.started.poll() is None:
        folder.started.kill()
        folder.started.communicate()


def test_each_line_has_its_own_result(broker, folder, echo_service):
    echo_service(broker.url)
    folder.lines(*({"value": [n]} for n in range(1, 2001)))
    code, results, errors = folder.run("--concurrency", "50")
    assert code == 0, errors
    assert sorted(one["line"] for one in results) == list(range(1, 2001))
    assert all(one["result"] == [one["line"]] and one["ok"] and one["seconds"] > 0 for one in results)
    assert "2000 of 2000 lines: 2000 ok" in errors
    until(lambda: broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0})


def test_failures_are_lines_and_the_worst_is_the_exit_code(broker, folder, echo_service):
    echo_service(broker.url)
    forms = ['{"value": 1}', "", '{"args": [], "kwargs": {"value": 2}}', '{"fail": true}', '{"hold": true}', "[3]"]
    folder.lines(*forms)
    code, results, errors = folder.run("--timeout", "1.5")
    told = {one["line"]: one for one in results}
    assert code == 4
    assert {line: one.get("result") for line, one in told.items() if one["ok"]} == {1: 1, 3: 2, 6: None}
    assert (told[4]["error"]["code"], told[4]["error"]["type"], told[4]["error"]["text"]) == (3, "ValueError", "bad")
    assert told[5]["error"]["code"] == 4
    assert "1 worker is listening on mplogin.sync and does not answer when asked" in told[5]["error"]["message"]
    assert "5 of 5 lines: 3 ok, 1 raised, 1 without a reply" in errors


def test_a_file_with_a_wrong_line_is_refused_whole_and_a_stream_line_by_line(broker, folder, echo_service):
    service = echo_service(broker.url)
    folder.lines('{"value": 1}', "nope", '"text"', '{"value": NaN}')
    code, results, errors = folder.run()
    assert (code, results) == (2, [])
    assert "line 2: no JSON" in errors
    assert "3 lines are wrong, of 4: nothing was sent" in errors
    assert not service.asked
    code, results, _ = folder.piped("--journal", "journal")
    assert code == 2
    assert {one["line"]: one["ok"] for one in results} == {1: True, 2: False, 3: False, 4: False}
    assert folder.piped("--journal", "journal")[:2] == (0, [])
    code, results, _ = folder.piped("--journal", "journal", "--retry")
    assert (code, [one["line"] for one in results]) == (2, [2, 3, 4])
    assert sum(service.asked.values()) == 1
    assert folder.run("value=1")[0] == folder.run("--retry")[0] == 2


def test_a_kill_at_any_moment_loses_no_line_and_calls_none_twice(broker, folder, echo_service):
    service = echo_service(broker.url)
    folder.lines(*({"value": n} for n in range(1, 1001)))
    for number, stop_at in enumerate((100, 350, 700)):
        running = folder.start("--journal", "journal", out=f"out{number}")
        until(lambda least=stop_at: len(service.asked) >= least)
        running.kill()
        running.communicate()
    assert stat.S_IMODE((folder.path / "journal").stat().st_mode) == 0o600
    code, results, errors = folder.run("--journal", "journal", out="last")
    assert code in (0, 4), errors
    assert "done before" in errors
    assert set(service.asked.values()) == {1}
    printed = [one for number in range(3) for one in folder.results(f"out{number}")]
    ok = {one["line"] for one in [*printed, *results] if one["ok"]}
    told = [one for one in [*printed, *results] if not one["ok"]]
    unknown = {one["line"] for one in told}
    assert ok | unknown == set(range(1, 1001))
    assert 0 < len(unknown) <= 3 * 8
    assert all("whether it ran is not known" in one["error"]["message"] for one in told)
    code, results, errors = folder.run("--journal", "journal", "--retry", out="retried")
    assert code == 0, errors
    assert {one["line"] for one in results} >= unknown - ok
    assert folder.run("--journal", "journal")[1] == []


def test_a_journal_goes_with_one_input_and_one_task(broker, folder, echo_service):
    service = echo_service(broker.url)
    folder.lines('{"value": 1}', '{"value": 2}')
    assert folder.run("--journal", "journal")[0] == 0
    folder.lines('{"value": 1}', '{"value": 3}')
    code, results, errors = folder.run("--journal", "journal")
    assert (code, not_called(results, 2)) == (2, [2])
    assert "line 2 is not what it was" in errors
    assert folder.run("--journal", "journal", task="mplogin.sync.other")[0] == 2
    assert folder.run("--journal", "in")[0] == 2
    assert sum(service.asked.values()) == 2


def test_ctrl_c_tells_what_was_under_way_and_the_rest_goes_on_later(broker, folder, echo_service):
    service = echo_service(broker.url)
    folder.lines({"value": "held", "hold": True}, *({"value": n} for n in range(500)))
    running = folder.start("--journal", "journal", "--concurrency", "4", "--timeout", "60")
    until(lambda: len(service.asked) > 50)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    first = folder.results()
    held = next(one for one in first if one["line"] == 1)
    assert "interrupted: mplogin.sync.echo runs on if it had begun; else it expires in" in held["error"]["message"]
    assert "kind" not in held["error"]
    left = not_called(first, 130)
    assert sorted(one["line"] for one in first) == list(range(1, 502))
    assert f", {len(left)} not called; " in errors
    code, rest, errors = folder.run("--journal", "journal")
    assert code == 0, errors
    assert left
    assert sorted(one["line"] for one in rest) == sorted(left)
    assert set(service.asked.values()) == {1}


def test_a_line_of_which_the_worker_says_that_it_was_revoked_is_called_by_the_next_run(broker, folder, echo_service):
    """Its worker was free at once, and its word comes before the question about it is over."""
    service = echo_service(broker.url)
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "celery.pidbox", "fanout", False, False, False, False, False, {})
        connection.request(QUEUE_DECLARE, "asked", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "asked", "celery.pidbox", "", False, {})

        def questions():
            return connection.request(QUEUE_DECLARE, "asked", True, True, False, False, False, {})[1]

        for attempt in range(10):  # the question lasts 0.4 s, in which a busy machine may not come to answer it
            folder.lines({"value": f"held {attempt}", "hold": True})
            journal = f"journal{attempt}"
            running = folder.start("--journal", journal, "--timeout", "60")
            until(lambda: service.held)
            before = questions()
            running.send_signal(signal.SIGINT)
            until(lambda least=before: questions() > least)
            (task_id,) = service.held
            service.release(task_id, "REVOKED", result={"exc_type": "TaskRevokedError", "exc_message": ["revoked"]})
            service.held.clear()
            running.communicate(timeout=60)
            (told,) = folder.results()
            assert running.returncode == told["error"]["code"] == 130
            if not_called([told], 130):
                break
    assert told["error"]["message"] == f"interrupted: {ECHO} had not begun and will not run, for it was revoked"
    folder.start("--journal", journal, "--timeout", "60")
    until(lambda: service.asked[f'"held {attempt}"'] == 2)


def test_a_broker_that_goes_away_ends_it_and_says_where(broker, folder, echo_service):
    service = echo_service(broker.url)
    # Eight calls at a time: the held ones stop the batch in the middle, however long the broker takes to hang up.
    held = [{"value": f"held {n}", "hold": True} for n in range(8)]
    folder.lines(*({"value": n} for n in range(200)), *held, *({"value": n} for n in range(200, 2992)))
    running = folder.start("--journal", "journal", "--timeout", "60")
    until(lambda: len(service.asked) == 208)
    broker.close_connections()
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 6, errors
    assert "goes on there" in errors
    first = folder.results()
    assert sorted(one["line"] for one in first) == list(range(1, 3001))
    left = not_called(first, 6)
    broken = [one for one in first if not one["ok"] and one["line"] not in left]
    assert len(broken) == 8
    assert all("ran is not known" in one["error"]["hint"] for one in broken)
    again = echo_service(broker.url)
    code, rest, errors = folder.run("--journal", "journal")
    assert code == 0, errors
    assert sorted(one["line"] for one in rest) == left
    assert set((service.asked + again.asked).values()) == {1}


def test_what_fails_for_all_lines_is_told_once_and_nothing_counts_as_done(broker, folder):
    folder.lines(*({"value": n} for n in range(100)))
    for words in ((), ("--retry",)):
        code, results, errors = folder.run("--journal", "journal", *words, task="mpnothere.sync.x")
        assert (code, sorted(not_called(results, 5))) == (5, list(range(1, 101)))
        assert all(one["error"]["message"].startswith("not called: there is no service mpnothere") for one in results)
        assert errors.count("there is no service mpnothere") == 1
        assert "0 of 100 lines: 0 ok, 100 not called; " in errors
    folder.environment["MP_SYNC_URL"] = "amqp://127.0.0.1:1"
    code, results, errors = folder.run()
    assert (code, not_called(results, 6)) == (6, list(range(1, 101)))
    assert len(errors.splitlines()) == 4
    code, results, errors = folder.piped()
    assert (code, results) == (6, [])  # nothing was read
    assert len(errors.splitlines()) == 2


def test_a_stream_without_an_end_is_not_read_on_after_a_failure(broker, folder):
    """What was read has its results, also what came in one piece with the line that failed."""
    code, results, errors = folder.endless("--journal", "journal", task="mpnothere.sync.x")
    assert code == 5
    last = int(re.search(r"stdin was read to line (\d+) and no further", errors)[1])
    assert sorted(not_called(results, 5)) == list(range(1, last + 1))
    assert f"0 lines: 0 ok, {last} not called; " in errors
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mpnothere", "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "mpnothere.sync", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mpnothere.sync", "mpnothere", "mpnothere.sync.#", False, {})
    # It is the same journal, and nothing in it counts as done.
    code, results, errors = folder.endless("--journal", "journal", "--timeout", "0.3", task="mpnothere.sync.x")
    assert code == 4
    assert [one["line"] for one in results if "kind" not in one["error"]] == list(range(1, 9))


def test_a_reader_that_is_slow_slows_the_calls(broker, folder, echo_service):
    service = echo_service(broker.url)
    folder.lines(*({"value": "x" * 1000 + str(n)} for n in range(3000)))
    with open(folder.path / "in") as lines:
        running = folder.started = subprocess.Popen(
            [MP, "call", ECHO, "--batch"],
            env=folder.environment, cwd=folder.path, stdin=lines, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    seen = [0]

    def stands_still():
        time.sleep(0.5)
        before, seen[0] = seen[0], len(service.asked)
        return seen[0] > 0 and before == seen[0]

    until(stands_still)
    assert seen[0] < 500
    assert len(running.stdout.read().splitlines()) == 3000
    assert running.wait(30) == 0
    running.stdout.close()
    assert len(service.asked) == 3000


class Mailer(EchoService):
    """A worker of async tasks: it tells of each by events, as Celery's does. With `silent`, of its beginning alone."""

    def _serve(self, asked, kwargs):
        task_id, value = str(asked["correlation_id"]), kwargs.get("value")
        self.asked[json.dumps(value)] += 1
        told = [("received", {}), ("started", {})]
        if kwargs.get("fail"):
            # As with acks_late and acks_on_failure=False: what is a dead letter too.
            told += [("rejected", {"requeue": False}), ("failed", {"exception": "ValueError('bad')", "traceback": "x"})]
        elif not kwargs.get("silent"):
            told.append(("succeeded", {"result": repr(value), "runtime": 0.25}))
        body = [{"type": f"task-{what}", "uuid": task_id, "timestamp": time.time(), "hostname": "w@h", **fields}
                for what, fields in told]  # fmt: skip
        message = Message.build(
            "celeryev", "task.multi", {"content_type": "application/json"}, json.dumps(body).encode()
        )
        with self._lock:
            self._connection.send(message.publish_frames(1, 131072, mandatory=False))


@pytest.fixture
def mailer(broker, folder):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "celeryev", "topic", False, True, False, False, False, {})
    mailer = Mailer(broker.url, "mplogin.async")
    yield mailer
    mailer.close()


def test_waiting_for_async_tasks_each_line_tells_how_its_task_ended(broker, folder, mailer):
    folder.lines({"value": 1, "fail": True}, *({"value": n} for n in range(2, 501)))
    code, results, errors = folder.run("--wait", "--timeout", "60", task=MAIL)
    told = {one["line"]: one for one in results}
    assert code == 3, errors
    assert sorted(told) == list(range(1, 501))
    assert len(results) == 500
    assert "500 of 500 lines: 499 ok, 1 raised" in errors
    assert {(one["outcome"], one["worker"], one["runtime"]) for one in results if one["ok"]} == {
        ("succeeded", "w@h", 0.25)
    }
    assert all(one["result"] == str(line) for line, one in told.items() if line > 1)
    failed = told[1]["error"]
    assert (failed["code"], failed["type"], failed["text"], failed["traceback"]) == (3, "ValueError", "'bad'", "x")
    assert failed["hint"] == f"its id is {told[1]['id']}, its worker w@h"

    folder.lines({"value": 0, "silent": True})
    code, (silent,), errors = folder.run("--wait", "--timeout", "1", task=MAIL)
    assert (code, silent["error"]["code"]) == (4, 4), errors
    assert silent["error"]["message"].startswith(f"{MAIL} has not ended in 1 s: ")
    assert silent["error"]["hint"] == f"wait longer with --timeout; its id is {silent['id']}"
    until(lambda: broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0})


def test_waiting_for_async_tasks_survives_a_kill_and_a_ctrl_c(broker, folder, mailer):
    # Four at a time, and each run is stuck on its silent ones.
    silent = [{"value": f"silent {n}", "silent": True} for n in range(4)]
    folder.lines(*({"value": n} for n in range(100)), *silent, *({"value": n} for n in range(104, 200)))
    words = ("--wait", "--journal", "journal", "--concurrency", "4", "--timeout", "300")
    running = folder.start(*words, task=MAIL)
    until(lambda: len(mailer.asked) == 104 and (folder.path / "journal").read_text().count('"code"') == 100)
    running.kill()
    running.communicate()
    code, results, errors = folder.run(*words, task=MAIL, out="second")
    assert code == 4, errors
    assert "100 done before" in errors
    unknown = [one["line"] for one in results if not one["ok"]]
    assert unknown == [101, 102, 103, 104]
    assert sorted(one["line"] for one in results) == list(range(101, 201))
    assert set(mailer.asked.values()) == {1}

    running = folder.start(*words, "--retry", task=MAIL, out="third")
    until(lambda: sum(mailer.asked.values()) == 204)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    running.stderr.close()
    told = [one["error"] for one in folder.results("third")]
    assert [one["code"] for one in told] == [130] * 4
    # The worker may have had one before its sender heard that the broker has it.
    assert {one["message"] for one in told} <= {
        f"interrupted: {MAIL} is waited for no longer; it goes on",
        f"interrupted before the broker confirmed {MAIL}: it may run all the same",
    }
    until(lambda: broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0})


def test_waiting_where_nobody_listens_ends_with_the_first_and_the_messages_stay(broker, folder):
    folder.lines(*({"value": n} for n in range(20)))
    code, results, errors = folder.run("--wait", "--timeout", "0.5", "--concurrency", "2", task=MAIL)
    assert code == 4
    assert not_called(results, 4) == list(range(3, 21))
    assert [one["error"]["code"] for one in results] == [4] * 20
    assert all("nobody is listening on mplogin.async" in one["error"]["message"] for one in results)
    assert "2 of 20 lines: 0 ok, 2 without a reply, 18 not called; " in errors
    assert broker.queues()["mplogin.async"] == 2


def test_async_tasks_are_all_in_the_queue(broker, folder):
    folder.lines(*([n] for n in range(500)))
    code, results, errors = folder.run(task=MAIL)
    assert code == 0, errors
    assert len({one["id"] for one in results if "result" not in one}) == 500
    assert "nobody is listening on mplogin.async now: the message waits" in errors
    until(lambda: broker.queues()["mplogin.async"] == 500)


def test_each_line_may_begin_later_or_expire(broker, folder, mailer):
    """As a call alone: the broker lets it wait where it can, and the worker is told."""
    folder.lines(*([n] for n in range(3)))
    words = ("--countdown", "90", "--expires", "1h")
    with connect(broker.url) as connection:
        for exchange in ("celery_delayed_27", "celery_delayed_delivery"):
            connection.request(EXCHANGE_DECLARE, exchange, "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "parked", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "parked", "celery_delayed_27", "#.mplogin.async.mail", False, {})
        before = datetime.now(UTC)
        code, results, errors = folder.run(*words, task=MAIL)
        after = datetime.now(UTC)
        assert code == 0, errors
        waiting = {}
        for _ in range(3):
            connection.send(BASIC_GET.frame(1, "parked", True))
            message = connection.answer(BASIC_GET, channel=1, deadline=time.monotonic() + 30)
            assert message.method is BASIC_GET_OK
            headers = message.properties["headers"]
            assert message.values[3].startswith("0." * 20)
            begins, ends = (datetime.fromisoformat(headers[one]) for one in ("eta", "expires"))
            assert before + timedelta(seconds=90) <= begins <= after + timedelta(seconds=90)
            assert before + timedelta(hours=1) <= ends <= after + timedelta(hours=1)
            waiting[headers["id"]] = headers["argsrepr"]
    assert sorted(waiting) == sorted(one["id"] for one in results)
    assert len(set(waiting.values())) == 3
    assert not mailer.asked

    # The patience of --wait begins when the task may; in the queue of the cascade it is with nobody.
    folder.lines({"value": 0, "silent": True})
    code, (silent,), errors = folder.run("--wait", "--timeout", "0.2", "--countdown", "2", task=MAIL)
    assert (code, silent["error"]["code"]) == (4, 4), errors
    assert silent["seconds"] > 1
    for words, task, told in (
        (("--countdown", "90"), ECHO, "--countdown, --eta and --expires are for async tasks"),
        (("--countdown", "90", "--expires", "60"), MAIL, "would expire before it may begin"),
        (("--eta", "soon"), MAIL, "'soon' is not a moment"),
    ):
        code, results, errors = folder.run(*words, task=task)
        assert (code, results) == (2, [])
        assert told in errors


def test_a_bar_on_the_terminal_and_the_results_in_the_file(broker, folder, echo_service):
    import pty

    echo_service(broker.url)
    folder.lines(*({"value": n} for n in range(300)))
    ours, theirs = pty.openpty()
    with open(folder.path / "in") as lines, open(folder.path / "out", "wb") as results:
        running = subprocess.Popen(
            [MP, "call", ECHO, "--batch"], stdin=lines, stdout=results, stderr=theirs,
            cwd=folder.path, env={**folder.environment, "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # Linux's way to say that the other side hung up
    os.close(ours)
    assert running.wait(30) == 0
    assert len(folder.results()) == 300
    assert b"/300" in shown
    assert b"300 of 300 lines: 300 ok" in shown
    assert b'"ok"' not in shown
