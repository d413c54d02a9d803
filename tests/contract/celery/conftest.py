"""Two plain Celery applications over two brokers, with real workers in processes of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

APPS = Path(__file__).parent / "apps"
KINDS = [pytest.param("embedded"), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> object:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


class Pair:
    """The applications as this process sees them (`.apps`), and their workers."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        server = request.getfixturevalue(f"{request.param}_server")
        self._server, self.folder = server, folder
        self.vhosts = {mode: f"plain-{mode}-{uuid.uuid4().hex[:8]}" for mode in ("sync", "async")}
        for vhost in self.vhosts.values():
            server.add_vhost(vhost)
        parts = urlsplit(server.url)
        login = f"{parts.username}:{parts.password}@{parts.hostname}:{parts.port}"
        urls = {f"TEST_{mode.upper()}_URL": f"amqp://{login}/{vhost}" for mode, vhost in self.vhosts.items()}
        (folder / "results").mkdir()
        self.environment = {**urls, "TEST_FOLDER": str(folder)}
        # In the workers' environment it lets the end of the run find one that was left behind.
        self.environment["MP_TEST_RUN"] = str(request.getfixturevalue("run_folder"))
        self.apps = self._load()
        self.workers: list[subprocess.Popen[bytes]] = []

    def _load(self) -> ModuleType:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            spec = importlib.util.spec_from_file_location(f"plain_pair_{uuid.uuid4().hex}", APPS / "plain_pair.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return module

    def start(self, mode: str, processes: int = 2) -> subprocess.Popen[bytes]:
        """A worker, when it answers."""
        name = f"{mode}.{uuid.uuid4().hex[:6]}@test"
        argv = ["-A", f"plain_pair:{mode}_app", "worker", "-n", name, "-c", str(processes), "-l", "info"]
        with (self.folder / f"{name}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *argv],
                env={**os.environ, **self.environment, "PYTHONPATH": str(APPS)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        worker.node = name
        self.workers.append(worker)
        app = getattr(self.apps, f"{mode}_app")
        until(lambda: worker.poll() is not None or app.control.ping([name], timeout=1, limit=1), "a worker", 90)
        assert worker.poll() is None, self.logs()
        return worker

    def queues(self, mode: str) -> dict[str, int]:
        return self._server.queues(self.vhosts[mode])

    def notes(self) -> list[str]:
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in self.folder.glob("*.log"))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """With its pool, at once: how a worker ends in good order is Celery's affair, and takes it seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30)

    def stop(self) -> None:
        for worker in self.workers:
            self.kill(worker)
        replies = self.apps.sync_app.backend.result_consumer
        if replies._connection is not None:  # it is in no pool, and there is none before the first result
            replies.stop()
        for app in (self.apps.sync_app, self.apps.async_app):
            app.pool.force_close_all()
            app.close()
        for vhost in self.vhosts.values():
            self._server.delete_vhost(vhost)


@contextlib.contextmanager
def _pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    pair = Pair(request, folder)
    try:
        yield pair
    finally:
        pair.stop()


@pytest.fixture(scope="module", params=KINDS)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A worker for each application, for all tests of a module."""
    with _pair(request, tmp_path_factory.mktemp("plain")) as pair:
        pair.sync_worker = pair.start("sync")
        pair.async_worker = pair.start("async")
        yield pair


@pytest.fixture(params=KINDS)
def unserved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """The applications without workers: the test starts those that it needs."""
    with _pair(request, tmp_path) as pair:
        yield pair


@pytest.fixture
def until_true() -> Callable[..., object]:
    return until
