"""`mp call` from outside, in a running platform, on both brokers: each outcome has its message, hint and exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

Shop = Callable[..., subprocess.CompletedProcess[str]]
# Seconds. Far above what any answer needs and far below the time-out that a lie would wait for.
AT_ONCE = 60


def _user() -> str:
    return "user_obj:=" + json.dumps({"email": f"{uuid.uuid4().hex}@example.org"})


def _two_lines(stderr: str) -> list[str]:
    assert "Traceback" not in stderr
    lines = stderr.splitlines()
    assert len(lines) == 2, stderr
    return lines


def test_a_sync_task_prints_its_result_as_json_when_piped(shop: Shop) -> None:
    done = shop("call", "mplogin.sync.register", _user())
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(json.loads(done.stdout), dict)
    assert len(done.stdout.splitlines()) == 1


def test_an_async_task_prints_its_id(shop: Shop) -> None:
    done = shop("call", "mplogin.async.send_welcome_email", "--kwargs", json.dumps(_email_arguments(shop)))
    assert (done.returncode, done.stderr) == (0, "")
    uuid.UUID(json.loads(done.stdout))


def _email_arguments(shop: Shop) -> dict[str, str]:
    tasks = json.loads(shop("tasks", "send_welcome_email").stdout)
    return {p["name"]: "ada@example.org" for p in tasks[0]["parameters"] if p["required"]}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_typo_in_the_task_is_told_at_once(shop: Shop, mode: str) -> None:
    task = {"sync": "regster", "async": "send_welcom_email"}[mode]
    meant = {"sync": "mplogin.sync.register", "async": "mplogin.async.send_welcome_email"}[mode]
    done = shop("call", f"mplogin.{mode}.{task}", _user(), "--timeout", "600", timeout=AT_ONCE)
    assert (done.returncode, done.stdout) == (5, "")
    assert meant in _two_lines(done.stderr)[1]


def test_a_service_that_does_not_exist(shop: Shop) -> None:
    done = shop("call", "mpnothere.sync.x", "--timeout", "600", timeout=AT_ONCE)
    assert (done.returncode, done.stdout) == (5, "")
    assert "mpnothere" in _two_lines(done.stderr)[0]


def test_a_name_outside_the_grammar(shop: Shop) -> None:
    done = shop("call", "register")
    assert (done.returncode, done.stdout) == (2, "")
    assert "<service>.<sync|async>.<task>" in _two_lines(done.stderr)[0]


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["mplogin.sync.login", "emial=a", "password=b"], "no parameter 'emial'", "did you mean email?"),
        (["mplogin.sync.login", "email=a"], "'password' is missing", "login(email: str, password: str)"),
        (["mplogin.sync.register", "user_obj=me"], "user_obj is text that is no dict", "register(user_obj: dict"),
        (["mplogin.sync.login", "--args", "[1, 2, 3]"], "3 positional arguments are too many", "--no-check"),
        (["mplogin.sync.login", "email=a", "password=b", "--countdown", "5"], "are for async tasks", "--timeout"),
        (["mplogin.async.send_welcome_email", "user_id=1", "email=a", "--eta", "soon"], "not a moment", "2030-01-31"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_sent(
    shop: Shop, words: list[str], what: str, hint: str
) -> None:
    done = shop("call", *words)
    assert (done.returncode, done.stdout) == (2, "")
    message, advice = _two_lines(done.stderr)
    assert what in message
    assert hint in advice


def test_text_arrives_as_the_type_that_is_annotated(shop: Shop) -> None:
    user = _user().removeprefix("user_obj:=")
    done = shop("call", "mplogin.sync.register", f"user_obj={user}")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["email"] == json.loads(user)["email"]


def test_the_printed_code_makes_the_same_call(shop: Shop) -> None:
    url = json.loads((shop.folder / ".mp" / "state.json").read_text())["urls"]["sync"]  # type: ignore[attr-defined]
    printed = shop("call", "mplogin.sync.register", _user(), "--as-code", "python")
    assert (printed.returncode, printed.stderr) == (0, "")
    for code in (0, 1):  # printed and not called: the first run registers, the second finds the user there
        ran = subprocess.run(
            [sys.executable, "-c", printed.stdout],
            env={**os.environ, "MP_SYNC_URL": url},
            capture_output=True,
            check=False,
        )
        assert ran.returncode == code, ran.stderr


def test_the_trace_of_a_call_on_stderr_or_in_json(shop: Shop) -> None:
    def lines() -> set[str]:
        done = shop("call", "mplogin.sync.register", _user(), "--trace")
        assert isinstance(json.loads(done.stdout)["email"], str)
        return {line.split()[0] for line in done.stderr.splitlines()}

    def objects() -> set[str]:
        done = shop("call", "mplogin.sync.register", _user(), "--trace", "--json")
        told = json.loads(done.stdout)
        assert told["result"]["email"]
        assert done.stderr == ""
        return {hop["hop"] for hop in told["trace"]}

    # What workers tell is waited for half a second, which is not enough on every machine at every time.
    _await(lambda: lines() >= {"connected", "started", "succeeded", "replied"})
    _await(lambda: objects() >= {"connected", "published", "confirmed", "received", "replied"})


def test_a_task_that_raises_shows_type_message_and_remote_traceback(shop: Shop) -> None:
    user = _user()
    assert shop("call", "mplogin.sync.register", user).returncode == 0
    done = shop("call", "mplogin.sync.register", user)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback (most recent call last)" in done.stderr
    assert "sync_tasks.py" in done.stderr
    message = done.stderr.splitlines()[-2]
    assert message.startswith("mp: mplogin.sync.register raised ")


def test_a_trace_of_a_call_is_one_tree_over_services_and_brokers(shop: Shop) -> None:
    picture = shop.folder / "register.svg"  # type: ignore[attr-defined]
    done = shop("trace", "--call", "mplogin.sync.register", _user(), "--svg", str(picture))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    root, *below = found["tasks"]
    assert (root["task"], root["state"], found["complete"]) == ("mplogin.sync.register", "succeeded", True)
    assert {(task["depth"], task["task"], task["broker"], task["state"]) for task in below} == {
        (1, "mpwallet.sync.open", "sync", "succeeded"),
        (1, "mplogin.async.send_welcome_email", "async", "succeeded"),
    }
    assert all(task["parent_id"] == root["id"] for task in below)
    opened = next(task for task in below if task["task"] == "mpwallet.sync.open")
    assert root["attempts"][0]["seconds"] >= opened["attempts"][0]["seconds"] > 0  # it waits for that one alone
    assert picture.read_text().count("<g>") == 3


def test_a_trace_of_a_call_that_fails_is_shown_all_the_same(shop: Shop) -> None:
    done = shop("trace", "--call", "mpwallet.sync.balance", "wallet_id=nowhere")
    assert done.returncode == 3
    (only,) = json.loads(done.stdout)["tasks"]
    assert (only["state"], only["attempts"][0]["outcome"]) == ("failed", "failed")
    assert "UnknownWallet" in only["attempts"][0]["error"]
    assert done.stderr.splitlines()[-2].startswith("mp: mpwallet.sync.balance raised ")


def test_nobody_listening_is_said_at_the_timeout(shop: Shop) -> None:
    worker = _pid(shop, "mpwallet.sync")
    os.kill(worker, signal.SIGSTOP)  # first busy to the eye of the caller ...
    try:
        done = shop("call", "mpwallet.sync.open", "owner=stopped", "--timeout", "1")
        assert (done.returncode, done.stdout) == (4, "")
        assert "nobody" not in done.stderr
    finally:
        os.kill(worker, signal.SIGCONT)
    os.kill(worker, signal.SIGKILL)  # ... then gone
    _await(lambda: "nobody is listening" in shop("call", "mpwallet.sync.open", "owner=gone", "--timeout", "1").stderr)
    done = shop("call", "mpwallet.sync.open", "owner=gone", "--timeout", "1")
    assert (done.returncode, done.stdout) == (4, "")
    waiting, *error = done.stderr.splitlines()
    assert waiting == "mp: nobody is listening on mpwallet.sync; waiting 1 s for a worker to come"
    assert "no reply from mpwallet.sync.open in 1 s: nobody is listening" in _two_lines("\n".join(error))[0]


def _pid(shop: Shop, name: str) -> int:
    rows = json.loads(shop("ps", "--json").stdout)
    rows = rows["processes"] if isinstance(rows, dict) else rows
    return next(row["pid"] for row in rows if row["name"] == name)


def _await(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


PLAIN_APP = '''
"""A service that never heard of mpcli: plain Celery, the platform's names."""
import os
from celery import Celery
from kombu import Exchange, Queue

app = Celery("plain", broker=os.environ["MP_SYNC_URL"].replace("amqp://", "pyamqp://"), backend="rpc://")
exchange = Exchange("mpplain", type="topic", durable=True)
app.conf.task_queues = [Queue("mpplain.sync", exchange, routing_key="mpplain.sync.#", durable=True)]

@app.task(name="mpplain.sync.add")
def add(x, y=1):
    return {"sum": x + y}

@app.task(name="mpplain.sync.fail")
def fail():
    raise LookupError("not \\x1b[31m here")
'''


@pytest.fixture
def plain_worker(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN_APP)
    state = json.loads((shop.folder / ".mp" / "state.json").read_text())  # type: ignore[attr-defined]
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "plain:app",
            "worker",
            "-Q",
            "mpplain.sync",
            "-P",
            "solo",
            "-l",
            "WARNING",
        ],
        cwd=tmp_path,
        env={**os.environ, "MP_SYNC_URL": state["urls"]["sync"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(lambda: shop("call", "mpplain.sync.add", "x:=1", "--timeout", "1").returncode == 0)
        yield
    finally:
        worker.terminate()
        worker.wait(60)


@pytest.mark.usefixtures("plain_worker")
def test_a_plain_celery_app_can_be_called(shop: Shop) -> None:
    done = shop("call", "mpplain.sync.add", "x:=1", "y:=41")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"sum": 42})
    failed = shop("call", "mpplain.sync.fail")
    assert failed.returncode == 3
    assert "LookupError" in failed.stderr
    assert "\x1b" not in failed.stderr
    unknown = shop("call", "mpplain.sync.ad", "x:=1", timeout=AT_ONCE)
    assert unknown.returncode == 5


@pytest.mark.parametrize(
    "words", [["mplogin.sync.register", _user()], ["mplogin.async.send_welcome_email", "user_id=1", "email=a"]]
)
def test_with_brokers_down_it_exits_6(mp: Callable[..., subprocess.CompletedProcess[str]], words: list[str]) -> None:
    assert mp("new", "service", "mplogin", "--example", "login").returncode == 0
    done = mp("call", *words, "--timeout", "600", timeout=AT_ONCE)
    assert (done.returncode, done.stdout) == (6, "")
    assert "mp up" in _two_lines(done.stderr)[1]


def test_a_closed_port_exits_6_and_hides_the_password(mp: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    url = "amqp://me:s3cret@127.0.0.1:1//"
    done = mp("call", "mplogin.sync.x", "--timeout", "600", timeout=AT_ONCE, MP_SYNC_URL=url, MP_ASYNC_URL=url)
    assert (done.returncode, done.stdout) == (6, "")
    assert "127.0.0.1:1" in _two_lines(done.stderr)[0]
    assert "s3cret" not in done.stderr


def test_outside_a_platform_it_exits_2(mp: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = mp("call", "mplogin.sync.register")
    assert (done.returncode, done.stdout) == (2, "")
    assert "mp.toml" in _two_lines(done.stderr)[0]
