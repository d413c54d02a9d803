"""`mp new` from outside: what it writes, says, refuses, and leaves behind when it cannot go on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    empty = tmp_path / "shop"
    empty.mkdir()
    return empty


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_command_is_enough_in_an_empty_folder(mp: Run, folder: Path, tmp_path: Path) -> None:
    done = mp("new", "service", "mplogin", cwd=folder)

    assert (done.returncode, done.stderr) == (0, "")
    made = json.loads(done.stdout)
    assert sorted(made["files"]) == files(folder)
    assert names(folder) == [".gitignore", "mp.toml", "mplogin"]
    assert names(tmp_path) == ["shop"], "nothing was written into HOME"
    tasks = json.loads(mp("tasks", cwd=folder).stdout)
    assert [task["name"] for task in tasks] == ["mplogin.async.record_event", "mplogin.sync.recent_events"]


def test_what_was_made_is_undone_by_the_command_that_it_prints(mp: Run, folder: Path) -> None:
    made = json.loads(mp("new", "service", "mplogin", cwd=folder).stdout)

    subprocess.run(made["undo"], shell=True, cwd=folder, check=True)

    assert names(folder) == []


def test_tasks_are_made_with_the_signature_that_was_given(mp: Run, folder: Path) -> None:
    mp("new", "service", "mplogin", "--task", "sync.register(user_obj: dict) -> dict", cwd=folder)

    (task,) = json.loads(mp("tasks", cwd=folder).stdout)
    assert (task["name"], task["returns"]) == ("mplogin.sync.register", "dict")
    assert [(each["name"], each["annotation"]) for each in task["parameters"]] == [("user_obj", "dict")]


def test_the_examples_have_the_tasks_of_the_article(mp: Run, folder: Path) -> None:
    mp("new", "service", "mplogin", "--example", "login", cwd=folder)
    mp("new", "service", "mpwallet", "--example", "wallet", cwd=folder / "mplogin")

    found = {task["name"] for task in json.loads(mp("tasks", cwd=folder).stdout)}
    assert found >= {
        "mplogin.sync.register",
        "mplogin.sync.login",
        "mplogin.async.send_welcome_email",
        "mpwallet.sync.open",
    }


def test_a_dry_run_lists_and_writes_nothing(mp: Run, folder: Path) -> None:
    planned = json.loads(mp("new", "service", "mplogin", "--dry-run", cwd=folder).stdout)
    assert names(folder) == []

    made = json.loads(mp("new", "service", "mplogin", cwd=folder).stdout)
    assert planned == made | {"dry_run": True}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("service", "login"), "'login' is not a service name", "mplogin"),
        (("service", "mplogin", "--example", "shop"), "no example 'shop'", "login, wallet"),
        (("service", "mplogin", "--task", "sync.f(a: User) -> int"), "'User' is not a type", "dict"),
        (("service", "mplogin", "--task", "sync.f() -> int: import os"), "not a signature", "--task"),
        (("service", "mplogin", "--task=sync.f()->int", "--task=sync.f()->int"), "given twice", "once"),
        (("service", "mpcli"), "'mpcli' is the name of a Python package", "free"),
        (("platform", "../shop"), "'../shop' is not a platform's name", "shop"),
        (("platform", "shop", "--prefix", "MP"), "'MP' is not a prefix", "mp"),
    ],
)
def test_what_cannot_be_used_is_refused_in_two_lines(
    mp: Run, folder: Path, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = mp("new", *arguments, cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert message in first
    assert hint in second
    assert names(folder) == []


def test_what_is_there_is_never_touched(mp: Run, folder: Path) -> None:
    (folder / "mplogin").mkdir()
    (folder / "mplogin" / "mine").write_text("mine")

    done = mp("new", "service", "mplogin", cwd=folder)

    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert files(folder) == ["mplogin/mine"]


def test_a_disk_that_says_no_in_the_middle_leaves_nothing(folder: Path, tmp_path: Path, mp_program: str) -> None:
    def limit() -> None:
        # Between the size of the smallest file and that of the largest: some are written before one cannot be.
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    done = subprocess.run(
        [mp_program, "new", "service", "mplogin"],
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limit,
    )

    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "nothing was changed" in done.stderr
    assert names(folder) == []


def test_ctrl_c_leaves_everything_or_nothing(folder: Path, tmp_path: Path, mp_program: str) -> None:
    process = subprocess.Popen(
        [mp_program, "new", "service", "mplogin"],
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not names(folder):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=60)

    # It may have been done before the signal came.
    made = process.returncode == 0 or "all was made already" in errors
    assert process.returncode in (0, 130)
    assert names(folder) == ([".gitignore", "mp.toml", "mplogin"] if made else []), errors


def test_ctrl_c_when_all_is_made_and_not_told_yet(folder: Path, tmp_path: Path, mp_program: str) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)  # whoever tells something has to wait
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [mp_program, "new", "service", "mplogin"],
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    deadline = time.monotonic() + 60
    while names(folder) != [".gitignore", "mp.toml", "mplogin"] or not sleeps(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    while os.read(reading, 65536):
        pass
    os.close(reading)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "mp: interrupted, and all was made already\n    to undo it: rm -r mplogin mp.toml .gitignore\n"


def sleeps(pid: int) -> bool:
    """Whether it waits for something."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_a_person_is_told_what_was_made_what_comes_next_and_how_to_undo_it(
    folder: Path, empty_home: dict[str, str], mp_program: str
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [mp_program, "new", "service", "mplogin", "--example", "login"],
        cwd=folder,
        env={**empty_home, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side of a terminal is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)

    assert process.wait(timeout=60) == 0
    lines = shown.decode().splitlines()
    assert lines[0] == f"made service mplogin in {folder}"
    assert "  mplogin/mplogin/apps.py" in lines
    assert lines[lines.index("next") + 1 : lines.index("next") + 3] == [
        "  mp new service mpwallet --example wallet",
        "  mp up -d",
    ]
    assert lines[lines.index("undo") + 1] == "  rm -r mplogin mp.toml .gitignore"
