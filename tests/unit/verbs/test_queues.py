"""Which queues are shown, and what a log tells of a dead letter."""

from pathlib import Path

import pytest

from mpcli.platform.contexts import resolve
from mpcli.verbs.causes import Causes
from mpcli.verbs.queue_rows import QueueRow
from mpcli.verbs.queues import is_helper, matches


@pytest.mark.parametrize(
    "name",
    [
        "celery_delayed_27",
        "celeryev",
        "celeryev.3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d",
        "mplogin.sync.c90f25c6411bc4f0@vm.celery.pidbox",
        "3f2a9c1b-7a1e-3a53-8f0e-9d2f0a0b1c2d.reply.celery.pidbox",
        "3f2a9c1b-7a1e-3a53-8f0e-9d2f0a0b1c2d",
        "mp.tail.0011223344556677",
        "mp.tail.0011223344556677.dropped",
        "mp.answers.3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d",
        "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
    ],
)
def test_what_celery_and_mp_make_for_themselves_is_hidden(name: str) -> None:
    assert is_helper(name)


@pytest.mark.parametrize("name", ["celery", "mplogin.sync", "mplogin.dead", "mp.tail", "celery_delayed", "orders-3f2a"])
def test_what_is_somebodys_is_not(name: str) -> None:
    assert not is_helper(name)


def test_patterns() -> None:
    given = ("", "login", "mplogin.*", "*.dead", "[xm]p*", "wallet")
    assert [one for one in given if matches("mplogin.sync", one)] == ["", "login", "mplogin.*", "[xm]p*"]


def test_json_tells_what_is_not_known() -> None:
    row = QueueRow("mplogin.dead", "async")
    row.ready, row.change = 3, 1 / 3
    found = row.as_dict()
    assert (found["ready"], found["change"], found["dead"], found["unacked"]) == (3, 0.333, True, None)
    assert "problem" not in found


def test_the_last_words_of_a_worker_count(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text("")
    logs = tmp_path / ".mp" / "logs"
    logs.mkdir(parents=True)
    error = "[2026-11-25 21:16:48,032: ERROR/ForkPoolWorker-2] Task mplogin.async.mail[id-1] raised unexpected: "
    text = (
        error
        + "ValueError('first')\nTraceback (most recent call last):\n  a\n"
        + error
        + "KeyError('last')\nTraceback\n  b\n"
    )
    (logs / "mplogin.async.log").write_bytes(text.encode() + b"\xff\xfe[2026-11-25 21:16:49,000: INFO/x] done\n")
    causes = Causes(resolve(tmp_path, environ={}))
    cause = causes.of("mplogin.async.mail", "id-1")
    assert (cause.text, cause.kind, cause.traceback.splitlines()[:2]) == (
        "KeyError('last')",
        "KeyError",
        ["Traceback", "  b"],
    )
    assert causes.of("mplogin.async.mail", "id-2") is None
