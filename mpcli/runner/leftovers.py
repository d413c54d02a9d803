"""Ending what is left of a run whose supervisor cannot do it any more.

Used by the reaper, by `mp down` and by the next `mp up`. Nothing is ended by its number alone: a pid counts only
with the start time that was written down for it, or with the run's name in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from mpcli.platform.state import RunningProcess, start_time
from mpcli.runner.proc import all_processes, command_line, pids_of_run

# Seconds between two looks at processes that are about to end.
_GLANCE = 0.02


def end_leftovers(run: str, known: list[RunningProcess], grace: float) -> list[str]:
    """End every process of the run and return their names: politely, stage by stage from the highest, then by force.

    `grace` is how long, in seconds, each stage may take before it is killed. Returns when nothing is left; a process
    in uninterruptible sleep, which even SIGKILL cannot end, is given up after five seconds.
    """
    ended = [process.name for process in known if process.alive]
    for stage in sorted({process.stage for process in known}, reverse=True):
        leaders = [process for process in known if process.stage == stage and process.alive]
        for process in leaders:
            _send(process.pid, signal.SIGTERM)
        _await_end(leaders, grace)
    others = _members(run, known)
    ended += [command_line(pid) or str(pid) for pid in others if pid not in {process.pid for process in known}]
    deadline = time.monotonic() + 5
    while (rest := _members(run, known)) and time.monotonic() < deadline:
        for pid in rest:
            _send(pid, signal.SIGKILL)
        time.sleep(_GLANCE)
    return ended


def _members(run: str, known: list[RunningProcess]) -> list[int]:
    """The live processes of the run: marked with its name, or in a group that one of the known ones leads."""
    groups = {process.pid for process in known if _still_its_group(process)}
    pids = {row.pid for row in all_processes() if row.group in groups}
    if run:
        pids.update(pid for pid in pids_of_run(run) if start_time(pid))
    return sorted(pids - {os.getpid()})


def _still_its_group(process: RunningProcess) -> bool:
    # A number that leads again under another start time was given to a stranger. While the group has any member,
    # the kernel gives its number to nobody: a dead leader means that the rest of the group is still ours.
    now = start_time(process.pid)
    return bool(process.started) and now in ("", process.started)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _await_end(processes: list[RunningProcess], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(process.alive for process in processes) and time.monotonic() < deadline:
        time.sleep(_GLANCE)
