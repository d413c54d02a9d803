"""A run in the background: the same supervisor, in a session of its own, with files for its logs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from mpcli.errors import ExitCode, MpError
from mpcli.runner.events import Event, Log, PlatformReady, as_dict, from_dict
from mpcli.runner.logs import LogFolder

_FAILED = "failed"
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def run_detached(work: Callable[[], Iterator[Event]], root: Path, logs: Path) -> Iterator[Event]:
    """Run `work` in a forked process that outlives this one; yield its events, without logs, until it is ready.

    Raises what ended it before that. A fork, because nothing has to be handed over or imported again; no thread
    runs yet. When the events are not read to their end, the run goes on.
    """
    reading, writing = os.pipe()
    # Neither of the two may die of a signal before it can take one: this one takes them in `_Follower`, the other in
    # `Supervisor.open`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    try:
        supervisor = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        raise
    if supervisor == 0:
        os.close(reading)
        _supervise(work, root, logs, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        yield from _Follower(supervisor, pipe, logs).events()


class _Follower:
    """The foreground command: it reads what the background one tells, and passes on Ctrl-C until all is ready."""

    def __init__(self, supervisor: int, pipe: BinaryIO, logs: Path) -> None:
        self._supervisor = supervisor
        self._pipe = pipe
        self._logs = logs
        self._is_up = self._is_stopped = False

    def events(self) -> Iterator[Event]:
        with self._signals_passed_on():
            for line in self._pipe:
                told = json.loads(line)
                if told["event"] == _FAILED:
                    self._raise(told)
                event = from_dict(told)
                if isinstance(event, PlatformReady):
                    self._is_up = True
                    if self._is_stopped:  # it was ready at that very moment, and stops all the same
                        os.waitpid(self._supervisor, 0)
                        raise KeyboardInterrupt
                    yield event
                    return
                yield event
        raise MpError("the supervisor was killed while it started the platform", f"its logs are in {self._logs}")

    @contextlib.contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        def pass_on(_number: int, _frame: FrameType | None) -> None:
            if self._is_up and not self._is_stopped:
                return  # too late: it runs in the background
            self._is_stopped = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._supervisor, signal.SIGTERM)

        before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _raise(self, told: dict[str, object]) -> NoReturn:
        os.waitpid(self._supervisor, 0)  # it has nothing left to do: when this command ends, all has ended
        if told["exit_code"] == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        error = MpError(str(told["message"]), str(told["hint"]))
        error.exit_code = ExitCode(int(str(told["exit_code"])))
        raise error


def _supervise(work: Callable[[], Iterator[Event]], root: Path, logs: Path, writing: int) -> NoReturn:
    """The background process, from the fork to its end. Never returns into the code that it was forked from."""
    code = int(ExitCode.UNEXPECTED)
    try:
        os.setsid()
        os.chdir(root)
        folder = LogFolder(logs)
        _redirect(folder.path / "supervisor.log")
        with folder, os.fdopen(writing, "wb", buffering=0) as pipe:
            code = _follow(work(), folder, pipe)
    except BaseException:  # noqa: BLE001 - whatever it was belongs into the log: there is no caller to tell
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _follow(events: Iterator[Event], folder: LogFolder, pipe: BinaryIO) -> int:
    failure: dict[str, object]
    try:
        for event in events:
            folder.write(event)
            if not isinstance(event, Log):
                _tell(pipe, as_dict(event))
            if isinstance(event, PlatformReady):
                pipe.close()
    except MpError as error:
        failure = {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
    except KeyboardInterrupt:
        failure = {"message": "interrupted", "hint": "", "exit_code": int(ExitCode.INTERRUPTED)}
    else:
        return 0
    folder.note({"event": _FAILED, **failure})
    _tell(pipe, {"event": _FAILED, **failure})
    return int(str(failure["exit_code"]))


def _tell(pipe: BinaryIO, told: dict[str, object]) -> None:
    if not pipe.closed:
        with contextlib.suppress(BrokenPipeError):  # the foreground command is gone; the run goes on
            pipe.write(json.dumps(told).encode() + b"\n")


def _redirect(log: Path) -> None:
    """Let go of the terminal."""
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(null)
    os.close(file)
