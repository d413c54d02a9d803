"""Bring the platform up."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.errors import ConfigError, UsageError
from mpcli.platform.layout import Platform, Service, load_platform
from mpcli.platform.processes import ProcessSpec
from mpcli.platform.state import RunningProcess, read_state, remove_state, start_time
from mpcli.runner.detach import run_detached
from mpcli.runner.events import Event, LeftoversEnded, Warned
from mpcli.runner.leftovers import end_leftovers
from mpcli.runner.lock import take_lock
from mpcli.runner.ports import PortsLock, choose_ports
from mpcli.runner.reaper import GRACE
from mpcli.runner.run import RunPlan, new_run_name, run_platform
from mpcli.runner.workers import worker_process

# Seconds that the reaper of a killed run may need to end two stages of processes, with room.
_REAPER_PATIENCE = 3 * GRACE
REMOTE = "remote"


def up(
    start: Path,
    *,
    broker: str = "",
    sync_port: int | None = None,
    async_port: int | None = None,
    detach: bool = False,
    owner: int | None = None,
) -> Generator[Event]:
    """Start brokers and a worker for every app of the platform that `start` lies in; yield what happens.

    Empty values stand for what mp.toml says. With the pid of an `owner` the run stops when that process ends.
    The events end when everything was stopped; detached, when everything is ready.
    Raises `MpError`; what was started by then is stopped first.
    """
    began = time.monotonic()
    platform = load_platform(start)
    services = platform.services()
    provider = _provider_name(platform, broker)
    owned_by = _owner(owner)
    ports = {
        Mode.SYNC: sync_port or platform.ports[Mode.SYNC],
        Mode.ASYNC: async_port or platform.ports[Mode.ASYNC],
    }
    if provider == REMOTE and not services:
        raise UsageError("there is nothing to start: the brokers are remote, and there is no service here")
    runtime = platform.make_runtime()
    with _locked(runtime) as lock, contextlib.closing(PortsLock()) as ports_lock:
        yield from _end_leftovers(runtime)
        brokers, urls, notes = _brokers(platform, provider, ports)
        yield from notes
        if not services:
            yield Warned("no services here yet: only the brokers are started; `mp new service mplogin` makes one")
        run = new_run_name()
        plan = RunPlan(
            runtime=runtime,
            broker=provider,
            urls=urls,
            brokers=brokers,
            workers=_workers(platform, services, urls, brokers, run),
            services=[service.name for service in services],
            began=began,
            detached=detach,
            owner=owned_by,
            ports_lock=ports_lock,
        )
        if detach:
            yield from run_detached(lambda: run_platform(plan, run, lock), platform.root, runtime / "logs")
        else:
            yield from run_platform(plan, run, lock)


def _owner(pid: int | None) -> RunningProcess | None:
    if pid is None:
        return None
    owner = RunningProcess("owner", pid, start_time(pid))
    if not owner.started:
        raise UsageError(f"there is no process {pid}", "--owner takes the pid of one that runs, such as $$")
    return owner


def _provider_name(platform: Platform, asked: str) -> str:
    """Which provider runs the brokers, or `remote` when mp.toml names URLs and nobody asked for another."""
    from mpcli.brokers.choose import PROVIDERS

    if asked and asked not in PROVIDERS:
        raise UsageError(f"there is no broker {asked!r}", f"one of {', '.join(PROVIDERS)}")
    if platform.urls and not asked:
        for mode in Mode:
            if mode not in platform.urls:
                raise ConfigError(
                    f"{platform.root / 'mp.toml'}: broker.{mode}_url is missing",
                    "a remote platform needs both, sync_url and async_url",
                )
        return REMOTE
    name = asked or platform.broker
    return "embedded" if name == "auto" else name


def _brokers(
    platform: Platform, provider: str, ports: dict[Mode, int | None]
) -> tuple[list[ProcessSpec], dict[Mode, str], list[Event]]:
    if provider == REMOTE:
        return [], platform.remote_urls(), []
    from mpcli.brokers import choose

    chosen, moved = choose_ports(ports)
    folder = platform.runtime / "brokers" / provider
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan = choose.provider(provider).plan(folder, chosen)
    return plan.processes, plan.urls, list(moved)


def _workers(
    platform: Platform, services: list[Service], urls: dict[Mode, str], brokers: list[ProcessSpec], run: str
) -> list[ProcessSpec]:
    stage = max((spec.stage for spec in brokers), default=-1) + 1
    return [
        worker_process(service, mode, urls, platform.prefix, tag=run, stage=stage)
        for service in services
        for mode in service.apps
    ]


@contextlib.contextmanager
def _locked(runtime: Path) -> Iterator[int]:
    lock = take_lock(runtime, _REAPER_PATIENCE)
    try:
        yield lock
    finally:
        os.close(lock)  # not unlocked: a supervisor or reaper that shares it keeps it


def _end_leftovers(runtime: Path) -> Iterator[Event]:
    """End what a run left whose supervisor and reaper were both killed. The caller holds the lock."""
    state = read_state(runtime)
    if state is None:
        return
    ended = end_leftovers(state.run, state.processes, GRACE)
    remove_state(runtime)
    if ended:
        yield LeftoversEnded(tuple(ended))
