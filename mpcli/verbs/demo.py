"""The tour: a temporary platform, and the real commands run in it one after the other."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from mpcli.errors import ExitCode, MpError

# Seconds. A cold start of four workers on a slow machine, with room; a step that takes longer hangs.
_STEP_DEADLINE = 120


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the tour, why it is run, and the exit code that it must have.

    `captured` says that its result is wanted as a value, `beside` that it goes on while the next step runs.
    `{wallet_id}` in a word stands for what ANSWER returned under this name.
    """

    argv: tuple[str, ...]
    why: str
    exit_code: ExitCode = ExitCode.OK
    captured: bool = False
    beside: bool = False


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The command is about to run; what it prints comes between this and `StepEnded`."""

    step: Step


@dataclass(frozen=True, slots=True)
class StepEnded:
    """It ran, with the exit code that was expected. `result` is the decoded JSON of a captured command."""

    step: Step
    result: object = None


@dataclass(frozen=True, slots=True)
class StepTold:
    """What a step that runs beside another one wrote to stderr."""

    text: str


Event = StepStarted | StepTold | StepEnded

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
    Step(("tail", "mpwallet", "--for", "5s"), "watch what passes, and what becomes of it", beside=True),
    Step(
        ("call", "mpwallet.async.deposit", "wallet_id=nobody", "cents=500", "reference=gift"),
        "break a task: nobody waits for this one, and there is no such wallet",
    ),
    Step(("dead",), "it is not lost: the dead letters, and why they died"),
    Step(
        ("replay", "mpwallet.dead", "--set", "kwargs.wallet_id={wallet_id}", "--wait", "--yes"),
        "mend the argument, send it again to where it came from, and wait for its end",
    ),
    Step(("call", "mpwallet.sync.balance", "wallet_id={wallet_id}"), "the money is there"),
)
DOWN = Step(("down",), "stop everything in order")


def demo() -> Generator[Event, None, None]:
    """Run the tour, yielding each step before and after it ran. Leaves nothing behind, also when interrupted.

    Raises `MpError` when a command did not end as the tour says that it does.
    """
    with _handled(_interrupt, signal.SIGTERM, signal.SIGHUP), _temporary_platform() as folder:
        yield from _walk(folder)
        yield StepStarted(DOWN)
        yield StepEnded(DOWN, _run(DOWN, folder))


def _walk(folder: Path) -> Iterator[Event]:
    answer: object = None
    beside: _Beside | None = None
    try:
        for planned in TOUR:
            step = _filled(planned, answer)
            yield StepStarted(step)
            if step.beside:
                beside = _Beside(step, folder)
                yield StepTold(beside.first_words())
                continue
            result = _run(step, folder)
            yield StepEnded(step, result)
            if step is ANSWER:
                answer = result
            if beside is not None:
                yield StepTold(beside.end())
                yield StepEnded(beside.step)
                beside = None
    finally:
        if beside is not None:
            beside.kill()


def _filled(step: Step, answer: object) -> Step:
    """The step with what ANSWER returned in the place of its names."""
    if not isinstance(answer, Mapping) or not any("{" in word for word in step.argv):
        return step
    wallet_id = str(answer["wallet_id"])
    return replace(step, argv=tuple(word.replace("{wallet_id}", wallet_id) for word in step.argv))


class _Beside:
    """A step that runs while the next one does, on the same terminal."""

    def __init__(self, step: Step, folder: Path) -> None:
        self.step = step
        self._process = subprocess.Popen(
            _command(step),
            cwd=folder,
            env=_environment(),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_deaf,  # noqa: PLW1509 - there is no other thread
        )

    def first_words(self) -> str:
        """The line by which it says that it is ready; empty when it ended without any."""
        stderr = self._process.stderr
        assert stderr is not None
        readable, _, _ = select.select([stderr], [], [], _STEP_DEADLINE)
        return stderr.readline().rstrip("\n") if readable else ""

    def end(self) -> str:
        """Wait for its own end, and return its last words. Raises `MpError` when it hangs, or ends in another way."""
        try:
            _, words = self._process.communicate(timeout=_STEP_DEADLINE)
        except subprocess.TimeoutExpired as error:
            raise _hangs(self.step) from error
        _check(self.step, self._process.returncode)
        return words.rstrip("\n")

    def kill(self) -> None:
        """End it now; nothing of it is wanted any more."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def _temporary_platform() -> Iterator[Path]:
    # The name is known before the folder is there, so that no moment is left in which Ctrl-C would forget it.
    parent = Path(tempfile.gettempdir()) / f"mp-demo-{secrets.token_hex(6)}"
    folder = parent / "shop"
    try:
        parent.mkdir(mode=0o700)
        folder.mkdir()
        yield folder
    finally:
        with _handled(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            _remove(parent, folder)


def _remove(parent: Path, folder: Path) -> None:
    if (folder / "mp.toml").exists():
        # After a whole tour this finds nothing to stop; after Ctrl-C or a failure it does.
        subprocess.run(_command(DOWN), cwd=folder, env=_environment(), capture_output=True, check=False, timeout=60)
    shutil.rmtree(parent, ignore_errors=True)


def _run(step: Step, folder: Path) -> object:
    """Run one command on our own terminal, and return what it printed when it was captured."""
    stdout = subprocess.PIPE if step.captured else None
    try:
        done = subprocess.run(
            _command(step),
            cwd=folder,
            env=_environment(),
            stdout=stdout,
            check=False,
            timeout=_STEP_DEADLINE,
            preexec_fn=_deaf,
        )
    except subprocess.TimeoutExpired as error:
        raise _hangs(step) from error
    _check(step, done.returncode)
    return json.loads(done.stdout) if step.captured else None


def _hangs(step: Step) -> MpError:
    return MpError(f"`mp {step.argv[0]}` did not end within {_STEP_DEADLINE} s", "run it alone to see why")


def _check(step: Step, exit_code: int) -> None:
    if exit_code != step.exit_code:
        raise MpError(
            f"`mp {' '.join(step.argv[:2])}` exited with {exit_code} instead of {int(step.exit_code)}",
            "its own words stand above; everything was stopped and removed",
        )


def _command(step: Step) -> list[str]:
    # Whatever ends the tour, kill -9 too, ends the platform that it started.
    owner = ["--owner", str(os.getpid())] if step.argv[0] == "up" else []
    return [sys.executable, "-m", "mpcli", *step.argv, *owner]


def _environment() -> dict[str, str]:
    """Ours, without what would point the tour at another platform's brokers."""
    return {key: value for key, value in os.environ.items() if key not in ("MP_SYNC_URL", "MP_ASYNC_URL", "MP_PREFIX")}


def _deaf() -> None:
    """In a step's process: Ctrl-C in the terminal is for the tour, which ends the step and says so once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A terminal that closes, or `kill`, ends the tour as Ctrl-C does: with everything stopped and removed."""
    raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None] | signal.Handlers, *numbers: int) -> Iterator[None]:
    """What these signals do meanwhile."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
