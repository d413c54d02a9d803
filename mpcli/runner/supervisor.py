"""Starting, watching and stopping the processes of one run. Every change is an event; nothing is printed here."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from mpcli.errors import BrokerUnavailable, MpError
from mpcli.platform.processes import ProcessSpec
from mpcli.platform.state import BROKER, READY, RunningState, write_state
from mpcli.runner.child import Child
from mpcli.runner.events import (
    Event,
    Log,
    ProcessDied,
    ProcessReady,
    ProcessStarted,
    ProcessStopped,
    Stopped,
    Stopping,
    Warned,
)
from mpcli.runner.guard import Guard
from mpcli.runner.proc import RUN_VARIABLE
from mpcli.runner.readiness import interval, is_ready

_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the terminal closed"}
# Seconds from SIGKILL to giving up on a process that not even that ends.
_LAST_WAIT = 5.0


class StartFailed(MpError):
    """A process did not become ready; the message names it, the hint holds its last words."""


class Supervisor:
    """The processes of one run. Lives inside one event loop on the main thread, from `open` to `close`."""

    def __init__(self, runtime: Path, state: RunningState, lock: int) -> None:
        self._runtime = runtime
        self._state = state
        self._lock = lock
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._children: list[Child] = []
        self._guard: Guard | None = None
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()
        self.interrupted = False
        self.stop_reason = ""

    # -- from outside -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Catch the signals, write the state, start the reaper. From here on `close` must be awaited."""
        loop = asyncio.get_running_loop()
        for number, reason in _SIGNALS.items():
            loop.add_signal_handler(number, self.request_stop, reason)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # of a detached run, which held them back until here
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        self._save()
        self._guard = Guard(self._state.run, self._lock)

    def emit(self, event: Event) -> None:
        """Hand an event to whoever reads `next_events`."""
        self._events.append(event)
        self._news.set()

    async def next_events(self) -> list[Event]:
        """All events since the last call; waits for the first."""
        await self._news.wait()
        return self.take_events()

    def take_events(self) -> list[Event]:
        """All events that nobody has taken yet, without waiting."""
        self._news.clear()
        events = list(self._events)
        self._events.clear()
        return events

    @property
    def pending(self) -> bool:
        """Whether there are events to take."""
        return bool(self._events)

    def request_stop(self, reason: str) -> None:
        """Stop in order; asked a second time, kill."""
        if self._stop.is_set():
            self._kill.set()
            self.interrupted = True
            return
        self.stop_reason = reason
        self._stop.set()

    async def unless_stopped(self, work: Coroutine[object, object, None]) -> bool:
        """Do the work, and give it up when a stop is requested; True when it was done. Raises what it raises."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            await _cancel(task, stop)

    async def start(self, specs: Iterable[ProcessSpec], role: str) -> None:
        """Start processes stage by stage, each stage side by side, and return when all are ready.

        Raises `StartFailed` (`BrokerUnavailable` for a broker) with the last words of the first that failed.
        """
        specs = list(specs)
        for stage in sorted({spec.stage for spec in specs}):
            await all_of(self._start_one(spec, role) for spec in specs if spec.stage == stage)

    def set_ready(self) -> None:
        """Write down that everything is ready."""
        self._state.ready = True
        self._save()

    async def watch(self) -> None:
        """Return when nothing runs any more; a stop ends it through `unless_stopped`."""
        while running := [child.ended for child in self._children if child.running]:
            await asyncio.wait(running)

    async def close(self, reason: str) -> None:
        """Stop what runs, the highest stage first, and make sure that nothing is left."""
        began = time.monotonic()
        self.emit(Stopping(reason))
        self._stop.set()
        stages = sorted({child.spec.stage for child in self._children}, reverse=True)
        for stage in stages:
            await asyncio.gather(*(self._stop_one(child) for child in self._children if child.spec.stage == stage))
        if self._guard is not None:
            await self._guard.end()
        for child in self._children:
            child.close()
        self.emit(Stopped(time.monotonic() - began))

    # -- one process --------------------------------------------------------------------------------------------

    async def _start_one(self, spec: ProcessSpec, role: str) -> None:
        child = self._spawn(spec, role)
        if spec.ready is not None:
            deadline = child.began + spec.start_timeout
            while not await is_ready(spec.ready):
                if not child.running:
                    raise _failure(child, f"it ended while starting: {child.ended.result()}")
                if time.monotonic() > deadline:
                    raise _failure(child, f"it was not ready within {spec.start_timeout:g} s")
                await _first_of(child.wrote.wait(), asyncio.shield(child.ended), seconds=interval(spec.ready))
                child.wrote.clear()
        if not child.running:
            # The port answers, but somebody else's process is behind it, or it died this moment.
            raise _failure(child, f"it ended while starting: {child.ended.result()}")
        child.row.status = READY
        self._save()
        self.emit(ProcessReady(spec.name, role, child.age))

    def _spawn(self, spec: ProcessSpec, role: str) -> Child:
        def on_line(line: str) -> None:
            self.emit(Log(spec.name, line))

        try:
            child = Child.spawn(spec, role, {RUN_VARIABLE: self._state.run}, on_line)
        except OSError as error:
            kind = BrokerUnavailable if role == BROKER else StartFailed
            raise kind(f"{spec.name} cannot be started: {error.strerror}: {error.filename}") from error
        self._children.append(child)
        self._state.processes.append(child.row)
        assert self._guard is not None
        self._guard.watch(child.row)
        self._save()
        self.emit(ProcessStarted(spec.name, role, child.pid))
        return child

    async def _stop_one(self, child: Child) -> None:
        if not child.running:
            return
        began = time.monotonic()
        child.stop()
        await _first_of(asyncio.shield(child.ended), self._kill.wait(), seconds=child.spec.grace)
        killed = child.running
        if killed:
            child.kill()
            await _first_of(asyncio.shield(child.ended), seconds=_LAST_WAIT)
        self._save()
        self.emit(ProcessStopped(child.spec.name, child.row.role, time.monotonic() - began, killed))

    # -- inside -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """A child of this process changed; the kernel merges signals, so look at all of them."""
        for child in self._children:
            if child.look() and not child.asked_to_end:
                row = child.row
                self._save()
                self.emit(ProcessDied(row.name, row.role, row.pid, row.ended, tuple(child.last_lines)))
        if self._guard is not None and not self._stop.is_set() and self._guard.look():
            self.emit(Warned("the reaper was killed; a new one was started"))

    def _save(self) -> None:
        try:
            write_state(self._runtime, self._state)
        except OSError as error:
            self.emit(Warned(f"the state of the platform cannot be written: {error.strerror}: {error.filename}"))


def _failure(child: Child, what: str) -> MpError:
    kind = BrokerUnavailable if child.row.role == BROKER else StartFailed
    last = next((line.strip() for line in reversed(child.last_lines) if line.strip()), "")
    return kind(f"{child.spec.name}: {what}", f"its last words: {last}" if last else "it wrote nothing")


async def all_of(work: Iterable[Coroutine[object, object, None]]) -> None:
    """Do all side by side; the first error ends the others and is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await _cancel(*tasks)


async def _first_of(*awaitables: Awaitable[object], seconds: float) -> None:
    tasks = [asyncio.ensure_future(one) for one in awaitables]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(*tasks)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
