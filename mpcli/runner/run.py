"""One run of a platform, from the lock to the last process, as a stream of events."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.errors import MpError
from mpcli.platform.processes import ProcessSpec
from mpcli.platform.state import BROKER, WORKER, RunningProcess, RunningState, remove_state, this_process
from mpcli.runner.events import Event, PlatformReady, TopologyDeclared
from mpcli.runner.ports import PortsLock
from mpcli.runner.supervisor import Supervisor, all_of
from mpcli.runner.topology import declare_apart
from mpcli.wire.url import safe_url

# Seconds between two looks at the owner; the kernel tells of the end of children only.
_OWNER_POLL = 0.5


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that a run needs to know; nothing was started yet. `began` is on the clock of `time.monotonic`.

    A run with an `owner` stops when that process has ended, in whatever way.
    """

    runtime: Path
    broker: str
    urls: dict[Mode, str]
    brokers: list[ProcessSpec]
    workers: list[ProcessSpec]
    services: list[str]
    began: float
    detached: bool = False
    owner: RunningProcess | None = None
    ports_lock: PortsLock | None = None


def new_run_name() -> str:
    """A name that no other run has."""
    return secrets.token_hex(8)


def run_platform(plan: RunPlan, run: str, lock: int) -> Iterator[Event]:
    """Start everything, watch it, and stop it on SIGINT, SIGTERM, SIGHUP or when this iterator is closed.

    Runs in the main thread. However it ends, nothing of the run is left. Raises `MpError` after the stop when
    something could not be started or nothing is left running, `KeyboardInterrupt` when it was interrupted before
    it was ready, or told twice to stop.
    """
    with asyncio.Runner() as runner:
        body = _Run(plan, run, lock)
        main = runner.get_loop().create_task(body.main())
        try:
            while not main.done() or body.pending:
                yield from runner.run(_events_or_end(body, main))
        finally:
            if not main.done():  # the reader of the events is gone
                runner.run(body.give_up(main))
        if main.result():
            raise KeyboardInterrupt


async def _events_or_end(body: _Run, main: asyncio.Task[bool]) -> list[Event]:
    news = asyncio.ensure_future(body.next_events())
    await asyncio.wait({news, main}, return_when=asyncio.FIRST_COMPLETED)
    if news.done():
        return news.result()
    news.cancel()
    return body.take_events()


class _Run:
    """The course of one run."""

    def __init__(self, plan: RunPlan, run: str, lock: int) -> None:
        self._plan = plan
        self._run = run
        state = RunningState(this_process(), plan.broker, plan.urls, [], ready=False, run=run)
        self._supervisor = Supervisor(plan.runtime, state, lock)
        self.next_events = self._supervisor.next_events
        self.take_events = self._supervisor.take_events

    @property
    def pending(self) -> bool:
        """Whether there are events that nobody read yet."""
        return self._supervisor.pending

    async def give_up(self, main: asyncio.Task[bool]) -> None:
        """Stop, and return when all is stopped; errors have no reader any more."""
        self._supervisor.request_stop("nobody reads the events")
        with contextlib.suppress(MpError):
            await main

    async def main(self) -> bool:
        """Start, watch, stop; True when it was interrupted before it was ready, or told twice to stop."""
        supervisor, ready = self._supervisor, False
        failure: MpError | None = None
        owned = asyncio.ensure_future(self._stop_with_owner())
        try:
            supervisor.open()
            ready = await supervisor.unless_stopped(self._start())
            if ready:
                await supervisor.unless_stopped(self._watch())
        except MpError as error:
            failure = error
        finally:
            owned.cancel()
            reason = supervisor.stop_reason or (failure.message if failure else "an unexpected error")
            await supervisor.close(reason)
            remove_state(self._plan.runtime)
        if failure is not None:
            raise failure
        return not ready or supervisor.interrupted

    async def _stop_with_owner(self) -> None:
        owner = self._plan.owner
        if owner is not None:
            while owner.alive:  # noqa: ASYNC110 - no event tells of the end of a process that is not a child
                await asyncio.sleep(_OWNER_POLL)
            self._supervisor.request_stop(f"process {owner.pid}, to which this run belongs, has ended")

    async def _start(self) -> None:
        plan, supervisor = self._plan, self._supervisor
        began = time.monotonic()
        await supervisor.start(plan.brokers, BROKER)
        if plan.ports_lock is not None:
            plan.ports_lock.release()
        brokers = time.monotonic()
        topology: list[float] = []
        await all_of([self._declare(topology), supervisor.start(plan.workers, WORKER)])
        now = time.monotonic()
        supervisor.set_ready()
        supervisor.emit(
            PlatformReady(
                seconds=now - plan.began,
                brokers=brokers - began,
                topology=sum(topology),
                workers=now - brokers,
                broker=plan.broker,
                urls={str(mode): safe_url(url) for mode, url in plan.urls.items()},
                supervisor=this_process().pid,
                services=tuple(plan.services),
                detached=plan.detached,
            )
        )

    async def _declare(self, seconds: list[float]) -> None:
        if not self._plan.services:
            return
        began = time.monotonic()
        await declare_apart(self._plan.services, self._plan.urls, self._run)
        seconds.append(time.monotonic() - began)
        self._supervisor.emit(TopologyDeclared(tuple(self._plan.services), seconds[0]))

    async def _watch(self) -> None:
        await self._supervisor.watch()
        raise MpError("every process of the platform ended", "their last words stand above; `mp up` starts it again")
