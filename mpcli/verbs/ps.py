"""What runs of the platform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.platform.layout import load_platform
from mpcli.platform.state import BROKER, EXITED, RunningProcess, RunningState, read_state
from mpcli.runner.proc import ProcessRow, all_processes, resident_of_group, uptime_of
from mpcli.wire.url import safe_url


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A broker or a worker. `uptime` in seconds, `memory` in bytes with all children; the URL without password."""

    name: str
    role: str
    pid: int
    state: str
    uptime: float | None
    memory: int | None
    url: str


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """`state` is `down`, `starting`, `ready`, `impaired` (a process ended) or `dead` (its supervisor was killed)."""

    platform: str
    state: str
    broker: str
    supervisor: int | None
    uptime: float | None
    memory: int | None
    processes: list[ProcessStatus]


def ps(start: Path) -> PlatformStatus:
    """Look at the platform that `start` lies in."""
    platform = load_platform(start)
    state = read_state(platform.runtime)
    if state is None:
        return PlatformStatus(platform.name, "down", "", None, None, None, [])
    rows = all_processes()
    alive = state.supervisor.alive
    return PlatformStatus(
        platform=platform.name,
        state=_platform_state(state, alive),
        broker=state.broker,
        supervisor=state.supervisor.pid,
        uptime=uptime_of(state.supervisor.pid) if alive else None,
        memory=next((row.resident for row in rows if alive and row.pid == state.supervisor.pid), None),
        processes=[_status(process, state, alive, rows) for process in state.processes],
    )


def _platform_state(state: RunningState, alive: bool) -> str:
    if not alive:
        return "dead"
    if any(process.status == EXITED for process in state.processes):
        return "impaired"
    return "ready" if state.ready else "starting"


def _status(process: RunningProcess, state: RunningState, supervised: bool, rows: list[ProcessRow]) -> ProcessStatus:
    running = process.alive
    if process.status == EXITED:
        text = f"exited: {process.ended}"
    elif running:
        text = process.status if supervised else "orphaned"
    else:
        text = "ended"
    return ProcessStatus(
        name=process.name,
        role=process.role,
        pid=process.pid,
        state=text,
        uptime=uptime_of(process.pid) if running else None,
        memory=resident_of_group(rows, process.pid) if running else None,
        url=_url(process, state),
    )


def _url(process: RunningProcess, state: RunningState) -> str:
    """Where a broker listens or what a worker consumes from: the last word of either's name is its mode."""
    mode = process.name.rpartition(".")[2]
    if mode not in set(Mode):
        return ""
    url = state.urls.get(Mode(mode), "")
    return safe_url(url) if url and (process.role != BROKER or "." in process.name) else ""
