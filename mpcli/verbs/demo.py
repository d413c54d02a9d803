"""The tour: a temporary platform, and the real commands run in it one after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mpcli.errors import ExitCode, MpError

# Seconds. A cold start of four workers on a slow machine, with room; a step that takes longer hangs.
_STEP_DEADLINE = 120


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the tour, why it is run, and the exit code that it must have."""

    argv: tuple[str, ...]
    why: str
    exit_code: ExitCode = ExitCode.OK
    captured: bool = False


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The command is about to run; what it prints comes between this and `StepEnded`."""

    step: Step


@dataclass(frozen=True, slots=True)
class StepEnded:
    """It ran, with the exit code that was expected. `result` is the decoded JSON of a captured command."""

    step: Step
    result: object = None


ANSWER = Step(
    ("call", "mplogin.sync.register", 'user_obj:={"email": "ada@example.org"}'),
    "register a user: mplogin opens a wallet at mpwallet, sends a mail, and answers",
    captured=True,
)

TOUR = (
    Step(("new", "service", "mplogin", "--example", "login"), "scaffold a service, and the platform around it"),
    Step(("new", "service", "mpwallet", "--example", "wallet"), "a second one, which the first will call"),
    Step(("up", "-d"), "start two brokers and a worker for every app"),
    Step(("ps",), "what runs now"),
    ANSWER,
    Step(
        ("call", "mplogin.sync.regster", 'user_obj:={"email": "eve@example.org"}'),
        "a typo is told at once, and exits 5",
        ExitCode.NOT_FOUND,
    ),
    Step(
        ("call", *ANSWER.argv[1:]),
        "a task that raises shows its traceback, and exits 3",
        ExitCode.TASK_RAISED,
    ),
)
DOWN = Step(("down",), "stop everything in order")


def demo() -> Iterator[StepStarted | StepEnded]:
    """Run the tour, yielding each step before and after it ran. Leaves nothing behind, also when interrupted.

    Raises `MpError` when a command did not end as the tour says that it does.
    """
    with _ended_by_signals(), _temporary_platform() as folder:
        for step in TOUR:
            yield StepStarted(step)
            yield StepEnded(step, _run(step, folder))
        yield StepStarted(DOWN)
        yield StepEnded(DOWN, _run(DOWN, folder))


@contextmanager
def _temporary_platform() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="mp-demo-"))
    folder = parent / "shop"
    folder.mkdir()
    try:
        yield folder
    finally:
        if (folder / "mp.toml").exists():
            # After a whole tour this finds nothing to stop; after Ctrl-C or a failure it does.
            subprocess.run(_command(DOWN), cwd=folder, env=_environment(), capture_output=True, check=False, timeout=60)
        shutil.rmtree(parent, ignore_errors=True)


def _run(step: Step, folder: Path) -> object:
    """Run one command on our own terminal, and return what it printed when it was captured."""
    stdout = subprocess.PIPE if step.captured else None
    try:
        done = subprocess.run(
            _command(step), cwd=folder, env=_environment(), stdout=stdout, check=False, timeout=_STEP_DEADLINE
        )
    except subprocess.TimeoutExpired as error:
        raise MpError(
            f"`mp {step.argv[0]}` did not end within {_STEP_DEADLINE} s", "run it alone to see why"
        ) from error
    if done.returncode != step.exit_code:
        raise MpError(
            f"`mp {' '.join(step.argv[:2])}` exited with {done.returncode} instead of {int(step.exit_code)}",
            "its own words stand above; everything was stopped and removed",
        )
    return json.loads(done.stdout) if step.captured else None


def _command(step: Step) -> list[str]:
    # Whatever ends the tour, kill -9 too, ends the platform that it started.
    owner = ["--owner", str(os.getpid())] if step.argv[0] == "up" else []
    return [sys.executable, "-m", "mpcli", *step.argv, *owner]


def _environment() -> dict[str, str]:
    """Ours, without what would point the tour at another platform's brokers."""
    return {key: value for key, value in os.environ.items() if key not in ("MP_SYNC_URL", "MP_ASYNC_URL", "MP_PREFIX")}


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A terminal that closes, or `kill`, ends the tour as Ctrl-C does: with everything stopped and removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
