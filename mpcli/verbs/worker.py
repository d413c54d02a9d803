"""One worker of the platform, as `mp up` would start it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.errors import UnknownService, UsageError
from mpcli.platform.contexts import Ask, allow_write, resolve
from mpcli.platform.layout import Service, load_platform
from mpcli.platform.processes import ProcessSpec
from mpcli.runner.workers import CONCURRENCY, worker_process


def worker(
    start: Path,
    name: str,
    concurrency: int = CONCURRENCY,
    *,
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
) -> ProcessSpec:
    """The process for `mplogin.sync`, to be run in place of this one.

    It finds the brokers as every command does: the environment, mp.toml, what runs here. Raises `UnknownService` for
    a service or an app that is not there, `UsageError` for a name that is none, `BrokerUnreachable` without brokers,
    `SafetyRefusal` in a context that does not let messages be taken: a worker takes every one that it can get.
    """
    platform = load_platform(start)
    service, mode = _app(name, {service.name: service for service in platform.services()})
    here = resolve(start, context)
    allow_write(here, f"run a worker of {service.name}.{mode}", yes, ask)
    urls = {mode: here.endpoint(mode).url for mode in Mode}
    tag = f"pid{os.getpid()}"
    spec = worker_process(service, mode, urls, platform.prefix, tag=tag, stage=0, concurrency=concurrency)
    return replace(spec, env={**os.environ, **spec.env})


def _app(name: str, services: dict[str, Service]) -> tuple[Service, Mode]:
    service_name, _, mode = name.partition(".")
    if mode not in ("sync", "async"):
        raise UsageError(f"{name!r} is not SERVICE.MODE", "for example mplogin.sync")
    service = services.get(service_name)
    if service is None:
        raise UnknownService(f"no service {service_name} here", f"there are: {', '.join(services) or 'none'}")
    if Mode(mode) not in service.apps:
        raise UnknownService(f"{service_name} has no {mode} app", f"it has: {', '.join(service.apps)}")
    return service, Mode(mode)
