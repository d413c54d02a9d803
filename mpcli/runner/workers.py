"""How the Celery workers of a service are run."""

from __future__ import annotations

import os
import sys

from mpcli.bus.naming import Mode, queue_name
from mpcli.platform.layout import Service
from mpcli.platform.processes import Consumers, ProcessSpec

# On one developer's machine two children show what concurrency does, and cost little.
CONCURRENCY = 2
START_TIMEOUT = 60.0


def worker_process(
    service: Service,
    mode: Mode,
    urls: dict[Mode, str],
    prefix: str,
    *,
    tag: str,
    stage: int,
    concurrency: int = CONCURRENCY,
) -> ProcessSpec:
    """The worker of one app. `tag` makes its node name unique: two workers of one name shut each other out."""
    queue = queue_name(service.name, mode)
    return ProcessSpec(
        name=queue,
        argv=(*_celery(service), *_worker_arguments(service.apps[mode], queue, tag, concurrency)),
        cwd=service.path,
        env=_environment(service, urls, prefix),
        ready=Consumers(urls[mode], queue),
        stage=stage,
        start_timeout=START_TIMEOUT,
    )


def _celery(service: Service) -> tuple[str, ...]:
    own = service.path / ".venv" / "bin" / "python"
    return (str(own) if own.exists() else sys.executable, "-m", "celery")


def _worker_arguments(app: str, queue: str, tag: str, concurrency: int) -> tuple[str, ...]:
    # Gossip and mingle are conversations among workers, on queues that this platform does not use; mingle waits a
    # second for answers.
    return (
        *("--quiet", "-A", app, "worker", "-Q", queue, "-n", f"{queue}.{tag}@%h", "-c", str(concurrency)),
        *("-l", "INFO", "--without-gossip", "--without-mingle"),
    )


def _environment(service: Service, urls: dict[Mode, str], prefix: str) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH", "")
    return {
        "MP_SYNC_URL": urls[Mode.SYNC],
        "MP_ASYNC_URL": urls[Mode.ASYNC],
        "MP_PREFIX": prefix,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": f"{service.path}{os.pathsep}{path}" if path else str(service.path),
    }
