"""`mp purge`: only what was counted, only what was meant, each one saved before it is gone."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from mpcli.errors import Interrupted, MpError, NotFound, SafetyRefusal, UsageError
from mpcli.recording.reader import Reader
from mpcli.render.purge import show_purge
from mpcli.verbs.purge import PurgePlan, PurgeSummary, purge
from mpcli.verbs.replay.choice import Choice


def remove(here, queue: str, **options) -> PurgeSummary:
    choice = Choice(**{key: options.pop(key) for key in ("where", "tasks", "ids") if key in options})
    plan, summary = purge(here.folder, queue, choice, **{"yes": True, **options})
    assert isinstance(plan, PurgePlan)
    assert isinstance(summary, PurgeSummary)
    return summary


def saved(here, file: Path | str) -> list[int]:
    return [here.number(entry.message) for entry in Reader(Path(file))]


@pytest.mark.parametrize(("mode", "queue"), [("sync", "mplogin.sync"), ("async", "mplogin.async")])
def test_all_of_it_into_a_place_of_ours(here, mode, queue) -> None:
    here.fill(mode, queue, 2500, password="hunter2")
    summary = remove(here, queue)
    assert (summary.before, summary.removed, summary.after) == (2500, 2500, 0)
    here.await_total(mode, queue, 0)
    file = Path(summary.backup)
    assert file.parent == here.home / "state" / "mp" / "purged"
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert saved(here, file) == list(range(2500))
    again = remove(here, queue)
    assert (again.removed, again.backup) == (0, "")


@pytest.mark.parametrize(("mode", "queue"), [("sync", "mplogin.sync"), ("async", "mplogin.dead")])
def test_only_what_matches_and_the_rest_keeps_its_place(here, tmp_path, mode, queue) -> None:
    here.fill(mode, queue, 200, name="mplogin.sync.register")
    here.publish(mode, [here.task("mplogin.sync.other", n, key=queue) for n in range(200, 210)])
    file = tmp_path / "some.mprec"
    assert remove(here, queue, ids=["00000007"], backup=file).removed == 1
    assert remove(here, queue, tasks=["*.other"], backup=file).removed == 10
    assert remove(here, queue, where="args[0] % 2", backup=file).removed == 99
    left = [here.number(message) for message in here.all_of(mode, queue)]
    assert left == list(range(0, 200, 2))
    assert saved(here, file) == [7, *range(200, 210), *(n for n in range(1, 200, 2) if n != 7)]


@pytest.mark.parametrize(
    ("moment", "told", "hint", "left"),
    [
        (
            "Writer.write_messages return",
            "nothing was removed from mplogin.sync; what is in some.mprec is in the queue too",
            "",
            20,
        ),
        ("Holding.ack call", "20 removed from mplogin.sync, saved in some.mprec", "undo: mp replay some.mprec", 0),
    ],
)
def test_ctrl_c_between_saved_and_removed(here, monkeypatch, moment, told, hint, left) -> None:
    monkeypatch.chdir(here.folder)
    here.fill("sync", "mplogin.sync", 20)
    with pytest.raises(Interrupted) as interrupted, pressed_at(moment):
        show_purge(purge(here.folder, "mplogin.sync", Choice(), backup=Path("some.mprec"), yes=True), as_json=False)
    assert interrupted.value.message.startswith(f"interrupted: {told}")
    assert "some.mprec" in interrupted.value.message
    assert interrupted.value.hint.startswith(hint)
    assert saved(here, "some.mprec") == list(range(20))
    here.await_total("sync", "mplogin.sync", left)


@contextmanager
def pressed_at(moment: str) -> Iterator[None]:
    """Ctrl-C, once, at the call of a function of ours, or its return."""

    def press(frame: FrameType, event: str, _argument: object) -> None:
        if f"{frame.f_code.co_qualname} {event}" == moment:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(press)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_the_name_of_a_queue_is_no_path(here) -> None:
    here.declare("sync", "../\x1b[31m/odd name")
    here.fill("sync", "../\x1b[31m/odd name", 1)
    file = Path(remove(here, "../\x1b[31m/odd name").backup)
    assert file.parent == here.home / "state" / "mp" / "purged"
    assert file.name.startswith("local..._")
    assert "\x1b" not in file.name
    assert saved(here, file) == [0]


def test_none_that_matches_and_no_backup(here, tmp_path) -> None:
    here.fill("sync", "mplogin.sync", 5)
    with pytest.raises(NotFound, match="no message"):
        remove(here, "mplogin.sync", ids=["99999999"], backup=tmp_path / "none.mprec")
    assert not (tmp_path / "none.mprec").exists()
    assert remove(here, "mplogin.sync", keep=False).removed == 5
    assert list(tmp_path.rglob("*.mprec")) == []
    with pytest.raises(UsageError, match="--no-backup"):
        remove(here, "mplogin.sync", keep=False, backup=tmp_path / "none.mprec")
    here.fill("sync", "mplogin.sync", 2)
    with pytest.raises(UsageError, match="not a Python expression"):  # the variable of a script that is not set
        remove(here, "mplogin.sync", where="")
    here.await_total("sync", "mplogin.sync", 2)


def test_what_comes_after_the_question_is_not_removed(here, tmp_path) -> None:
    here.fill("sync", "mplogin.sync", 5)

    def ask(question: str) -> bool:
        assert "5 messages of mplogin.sync" in question
        assert "context local" in question
        here.publish("sync", [here.task("mplogin.sync.register", n, key="mplogin.sync") for n in range(5, 9)])
        return True

    assert remove(here, "mplogin.sync", backup=tmp_path / "x.mprec", yes=False, ask=ask).removed == 5
    assert [here.number(message) for message in here.all_of("sync", "mplogin.sync")] == [5, 6, 7, 8]


def test_who_may(here) -> None:
    here.fill("sync", "mplogin.sync", 3)
    for ask in (None, lambda question: False):
        with pytest.raises(SafetyRefusal):
            remove(here, "mplogin.sync", yes=False, ask=ask)
    here.context("readonly")
    with pytest.raises(SafetyRefusal, match="readonly"):
        remove(here, "mplogin.sync", context="guarded")
    here.fill("async", "mplogin.async", 3)
    with pytest.raises(SafetyRefusal, match="delivery limit"):
        remove(here, "mplogin.async", ids=["00000001"])  # it would give back two of them
    assert remove(here, "mplogin.async", ids=["00000001"], spend=True, keep=False).removed == 1
    here.await_total("sync", "mplogin.sync", 3)
    here.await_total("async", "mplogin.async", 2)


def test_a_backup_that_cannot_be_written_removes_nothing(here, tmp_path) -> None:
    here.fill("sync", "mplogin.sync", 3)
    other = tmp_path / "other.txt"
    other.write_text("mine")
    with pytest.raises(UsageError):
        remove(here, "mplogin.sync", backup=other)
    assert other.read_text() == "mine"
    with pytest.raises(MpError, match="cannot be written"):
        remove(here, "mplogin.sync", backup=other / "x.mprec")
    here.await_count("sync", "mplogin.sync", 3)


@pytest.mark.parametrize(
    ("mode", "queue", "some"), [("sync", "mplogin.sync", []), ("async", "mplogin.dead", ["--where", "args[0] % 3"])]
)
def test_killed_at_any_moment_file_and_queue_hold_everything(here, tmp_path, kill_at_random, mode, queue, some) -> None:
    here.fill(mode, queue, 3000)
    file = tmp_path / "backup.mprec"
    kept = 1000 if some else 0
    for _ in range(2):
        process = here.start("purge", queue, "--yes", "--backup", str(file), *some)
        said = process.stderr.readline()
        kill_at_random(process, 0.01, 0.12)
        here.await_returned(mode, queue)
        if "Removing" not in said:  # the one before was done when it was killed
            here.await_total(mode, queue, kept)
    code, out, err = here.mp("purge", queue, "--yes", "--backup", str(file), *some)
    assert code in (0, 5), err  # nothing may have been left for the last one
    left = {here.number(message) for message in here.all_of(mode, queue)}
    in_file = set(saved(here, file))
    assert left == (set(range(0, 3000, 3)) if some else set())
    assert left | in_file == set(range(3000))
    if not some:
        assert len(json.loads(out)) > 3


def test_cut_off_in_the_middle_file_and_queue_hold_everything(here, tmp_path) -> None:
    here.fill("async", "mplogin.dead", 5000)
    file = tmp_path / "backup.mprec"
    process = here.start("purge", "mplogin.dead", "--yes", "--backup", str(file))
    assert "Removing" in process.stderr.readline()
    deadline = time.monotonic() + 30
    while not file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    here.brokers.async_.close_connections()
    _, err = process.communicate(timeout=30)
    assert process.returncode in (0, 6), err  # it may have been quicker
    assert "Traceback" not in err
    left = {here.number(message) for message in here.all_of("async", "mplogin.dead")}
    assert left | set(saved(here, file)) == set(range(5000))
