"""What a call says when it does not come as far as a broker."""

import os
import subprocess
import sys

import pytest

from mpcli.errors import BrokerUnreachable, InvalidName, NoPlatform, UnknownTask, UsageError
from mpcli.verbs.call import call_task

NOWHERE = "amqp://127.0.0.1:1"


@pytest.fixture
def platform(tmp_path):
    (tmp_path / "mp.toml").write_text("")
    service = tmp_path / "mplogin"
    service.mkdir()
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "apps:sync_app"\n')
    (service / "tasks.py").write_text(
        "from apps import sync_app\n\n\n@sync_app.task\ndef register(user_obj):\n    pass\n"
    )
    return tmp_path


def call(task, start, url="", **kwargs):
    return call_task(task, [], kwargs, start=str(start), url=url)


@pytest.mark.parametrize("url", [NOWHERE, ""])
def test_a_typo_is_told_from_the_source_with_no_broker_at_all(platform, url, monkeypatch):
    monkeypatch.delenv("MP_SYNC_URL", raising=False)
    with pytest.raises(UnknownTask) as unknown:
        call("mplogin.sync.regster", platform, url)
    assert unknown.value.hint == "did you mean mplogin.sync.register?"


def test_a_task_that_exists_is_the_brokers_affair(platform, monkeypatch):
    monkeypatch.delenv("MP_SYNC_URL", raising=False)
    with pytest.raises(BrokerUnreachable) as nothing_runs:
        call("mplogin.sync.register", platform, user_obj=1)
    assert "mp up" in nothing_runs.value.hint
    with pytest.raises(BrokerUnreachable, match="refused"):
        call("mplogin.sync.register", platform, NOWHERE, user_obj=1)


def test_a_service_that_the_source_has_not_may_still_be_on_the_broker(platform):
    with pytest.raises(BrokerUnreachable) as unreachable:
        call("mplogn.sync.register", platform, NOWHERE)
    assert "did you mean mplogin.sync.register?" in unreachable.value.hint


def test_the_grammar_comes_first(platform):
    with pytest.raises(InvalidName) as invalid:
        call("login.sync.register", platform, NOWHERE)
    assert "mplogin" in invalid.value.hint


def test_a_broken_source_does_not_hide_the_failure(platform):
    (platform / "mplogin" / "pyproject.toml").write_text("[[[")
    with pytest.raises(BrokerUnreachable):
        call("mplogin.sync.regster", platform, NOWHERE)


def test_outside_of_a_platform(tmp_path, monkeypatch):
    monkeypatch.delenv("MP_SYNC_URL", raising=False)
    with pytest.raises(NoPlatform):
        call("mplogin.sync.register", tmp_path)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 5e6])
def test_a_timeout_that_no_broker_takes_is_refused(tmp_path, timeout):
    with pytest.raises(UsageError, match="timeout"):
        call_task("mplogin.sync.x", [], {}, timeout=timeout, start=str(tmp_path), url=NOWHERE)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["mplogin.sync.register", "user_obj=1"], 6),
        (["mplogin.sync.register", "a=1"], 2),
        (["mplogin.sync.register", "a=1", "--no-check"], 6),
        (["mplogin.sync.regster", "a=1"], 5),
        (["login.sync.register", "a=1"], 2),
        (["mplogin.sync.register", "a"], 2),
        (["mplogin.sync.register", "--timeout=0"], 2),
        (["mplogin.sync.register", "--nope"], 2),
        ([], 2),
    ],
)
def test_the_exit_codes(platform, words, code):
    done = subprocess.run(
        [sys.executable, "-m", "mpcli", "call", *words],
        env={**os.environ, "MP_SYNC_URL": NOWHERE}, cwd=platform, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("mp: ")
    assert "Traceback" not in done.stderr
