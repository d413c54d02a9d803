"""Take the platform down."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from mpcli.errors import Interrupted, MpError
from mpcli.platform.layout import load_platform
from mpcli.platform.state import RunningProcess, RunningState, read_state, remove_state
from mpcli.runner.events import Event, LeftoversEnded, NothingRuns, ProcessStopped, Stopped, Stopping, Warned
from mpcli.runner.interrupt import Interrupt
from mpcli.runner.leftovers import end_leftovers
from mpcli.runner.lock import try_lock
from mpcli.runner.reaper import GRACE

# Seconds. The first is for an orderly stop (workers, then brokers, each with its grace), the second for the reaper of
# a supervisor that had to be killed.
PATIENCE = 45.0
_REAPER_PATIENCE = 4 * GRACE
_GLANCE = 0.02


def down(start: Path, patience: float = PATIENCE) -> Iterator[Event]:
    """Stop whatever runs of the platform that `start` lies in, wherever it was started; yield what happens.

    After `patience` seconds the supervisor is killed, and what it leaves is ended by the reaper or from here. Raises
    `MpError` when even then something runs, `Interrupted` after Ctrl-C while it was waited for.
    """
    platform = load_platform(start)
    runtime = platform.runtime
    if not runtime.is_dir():
        yield NothingRuns(platform.name)
        return
    began = time.monotonic()
    lock = try_lock(runtime)
    if lock is None:
        lock = yield from _stop_supervisor(runtime, patience)
        stopped = True
    else:
        stopped = False
    try:
        ended = _sweep(runtime)
    finally:
        os.close(lock)
    if ended:
        yield LeftoversEnded(tuple(ended))
    yield Stopped(time.monotonic() - began) if stopped or ended else NothingRuns(platform.name)


def _stop_supervisor(runtime: Path, patience: float) -> Generator[Event, None, int]:
    state = _live_state(runtime)
    with Interrupt() as interrupt:
        interrupt.arm()  # from here on the platform stops, whether or not that is waited for
        if state is not None:
            _send(state.supervisor, signal.SIGTERM)
            yield Stopping("`mp down`")
            lock = yield from _await_lock(runtime, state.processes, patience, interrupt)
            if lock is not None:
                return lock
            yield Warned(f"the supervisor did not end within {patience:g} s and was killed")
            _send(state.supervisor, signal.SIGKILL)
        lock = yield from _await_lock(runtime, state.processes if state else [], _REAPER_PATIENCE, interrupt)
    if lock is None:
        raise MpError("the platform still runs and could not be stopped", "`mp ps` shows what is left")
    return lock


def _live_state(runtime: Path) -> RunningState | None:
    """The state of the supervisor that holds the lock; a moment after its start it may not be written yet."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        state = read_state(runtime)
        if state is not None and state.supervisor.alive:
            return state
        if state is not None:
            return None  # its supervisor is dead: the reaper holds the lock
        time.sleep(_GLANCE)
    return None


def _await_lock(
    runtime: Path, processes: list[RunningProcess], patience: float, interrupt: Interrupt
) -> Generator[Event, None, int | None]:
    """Yield each process as it ends; return the lock once it is free, or None when patience is."""
    began = time.monotonic()
    waiting = [process for process in processes if process.alive]
    while True:
        lock = try_lock(runtime)
        for process in [process for process in waiting if lock is not None or not process.alive]:
            waiting.remove(process)
            if not process.alive:
                yield ProcessStopped(process.name, process.role, time.monotonic() - began, killed=False)
        if lock is not None or time.monotonic() - began > patience:
            return lock
        if interrupt.asked:
            raise Interrupted("interrupted: the platform goes on stopping", "`mp ps` shows what is left of it")
        time.sleep(_GLANCE)


def _sweep(runtime: Path) -> list[str]:
    state = read_state(runtime)
    if state is None:
        return []
    ended = end_leftovers(state.run, state.processes, GRACE)
    remove_state(runtime)
    return ended


def _send(process: RunningProcess, number: int) -> None:
    if process.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
