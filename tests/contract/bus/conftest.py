"""A platform for the tests of the bus: two vhosts of one broker, and real workers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mpcli.bus import Caller
from mpcli.bus.connecting import connect
from mpcli.bus.naming import Mode
from mpcli.bus.topology import declare_topology
from mpcli.errors import MpError

APPS = Path(__file__).parent / "apps"


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> object:
    """Wait for something that becomes true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


# What a `Caller` rightly says on a busy machine, of which the broker's word takes longer than the moment it has.
_TOO_SLOW = "says nothing about|no connection to the broker|did not confirm"


def told_in_time(attempt: Callable[[], object], more: str = "nothing") -> MpError:
    """What `attempt` raises, made again for as long as the machine is too busy for it."""
    deadline = time.monotonic() + 60
    while True:
        with pytest.raises(MpError) as caught:
            attempt()
        if not re.search(f"{_TOO_SLOW}|{more}", caught.value.message) or time.monotonic() > deadline:
            return caught.value


def environment(urls: dict[Mode, str], folder: Path) -> dict[str, str]:
    """Of a worker, or of another process of a service."""
    return {
        **os.environ,
        "MP_SYNC_URL": urls[Mode.SYNC],
        "MP_ASYNC_URL": urls[Mode.ASYNC],
        "PYTHONPATH": str(APPS),
        "TEST_NOTES": str(folder / "notes"),
        "C_FORCE_ROOT": "1",  # one of the services accepts pickle, and the tests may run as root
    }


class Worker:
    """`python -m celery -A apps worker` in a process group of its own."""

    def __init__(self, app: str, queue: str, urls: dict[Mode, str], folder: Path, pool: str, processes: int) -> None:
        self.queue = queue
        self.url = urls[Mode.ASYNC if queue.endswith(".async") else Mode.SYNC]
        self.log = folder / f"{queue}.{uuid.uuid4().hex[:6]}.log"
        argv = ["celery", "-A", app, "worker", "-Q", queue, "-n", f"{queue}.{uuid.uuid4().hex[:8]}@%h"]
        argv += ["--without-gossip", "--without-mingle", "-P", pool, "-c", str(processes), "-l", "info"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *argv],
                env=environment(urls, folder),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self, listening: int) -> Worker:
        """Wait until so many listen on the queue, this one among them."""
        until(lambda: self.process.poll() is not None or consumers(self.url, self.queue) >= listening, "a worker", 90)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def kill(self) -> None:
        """With its pool, at once: how a worker ends in good order is Celery's affair, and takes it seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def consumers(url: str, queue: str) -> int:
    """How many listen on the queue; 0 when there is none."""
    from amqp.exceptions import NotFound

    connection = connect(url)
    try:
        return connection.channel().queue_declare(queue, passive=True).consumer_count
    except NotFound:
        return 0
    finally:
        connection.close()


@dataclass
class Platform:
    """Two brokers, the workers on them and a caller."""

    kind: str
    urls: dict[Mode, str]
    queues: Callable[[Mode], dict[str, int]]
    folder: Path
    close_connections: Callable[[], None]
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Patient, for a machine may be busy: what is to take too long says so where it is called.
        self.caller = Caller(self.urls[Mode.SYNC], self.urls[Mode.ASYNC], timeout=60)

    def start(self, *apps: str, pool: str = "prefork", processes: int = 2) -> list[Worker]:
        """Workers for `services:alpha_sync` and the like, side by side, all of them ready."""
        started = [Worker(app, _queue(app), self.urls, self.folder, pool, processes) for app in apps]
        self.workers += started
        listening = Counter(worker.queue for worker in self.workers)
        return [worker.ready(listening[worker.queue]) for worker in started]

    def declare(self, *services: str) -> None:
        declare_topology(services, self.urls)

    def notes(self) -> list[str]:
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def note(self, text: str) -> None:
        """What a task waits for."""
        with (self.folder / "notes").open("a") as file:
            file.write(text + "\n")

    @contextlib.contextmanager
    def busy(self, *notes: str) -> Iterator[None]:
        """Meanwhile so many processes of mpalpha.sync run a task each, which has begun; then these end well."""
        with ThreadPoolExecutor(len(notes)) as pool:
            held = [pool.submit(self.caller.call, "mpalpha.sync.hold", note) for note in notes]
            try:
                until(lambda: set(notes) <= set(self.notes()), "the tasks began")
                yield
            finally:
                for note in notes:
                    self.note(f"{note} is released")
            assert [one.result() for one in held] == [None] * len(notes)

    def logs(self) -> str:
        return "\n".join(worker.log.read_text(errors="replace") for worker in self.workers)

    def run(self, script: str) -> str:
        """What a script of `apps/` prints."""
        done = subprocess.run(
            [sys.executable, str(APPS / script)],
            env=environment(self.urls, self.folder),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        self.caller.close()
        for worker in self.workers:
            worker.kill()


def _queue(app: str) -> str:
    module, _, name = app.partition(":")
    return "mpplain.sync" if module == "plain" else "mp" + name.replace("_", ".")


def _url(server: object, vhost: str) -> str:
    parts = urlsplit(server.url)
    return f"amqp://{parts.username}:{parts.password}@{parts.hostname}:{parts.port}/{vhost}"


def _platform(request: pytest.FixtureRequest, folder: Path) -> Iterator[Platform]:
    server = request.getfixturevalue(f"{request.param}_server")
    names = {mode: f"bus-{mode}-{uuid.uuid4().hex[:8]}" for mode in Mode}
    for name in names.values():
        server.add_vhost(name)
    platform = Platform(
        request.param,
        {mode: _url(server, name) for mode, name in names.items()},
        lambda mode: server.queues(names[mode]),
        folder,
        lambda: [server.close_connections(name) for name in names.values()],
    )
    try:
        yield platform
    finally:
        platform.stop()
        for name in names.values():
            server.delete_vhost(name)


KINDS = [pytest.param("embedded"), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]


@pytest.fixture(scope="module", params=KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform for all tests of a module, with workers for mpalpha and mpbeta."""
    for platform in _platform(request, tmp_path_factory.mktemp("platform")):
        platform.start("services:alpha_sync", "services:beta_sync", "services:alpha_async", processes=2)
        yield platform


@pytest.fixture(params=KINDS)
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    """A platform for one test, without workers: the test starts those it needs."""
    yield from _platform(request, tmp_path)


@pytest.fixture
def until_true() -> Callable[..., object]:
    return until


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Workers on brokers of the test's own."""
    workers: list[Worker] = []

    def start(app: str, queue: str, url: str, pool: str = "prefork", processes: int = 2) -> Worker:
        before = consumers(url, queue)
        workers.append(Worker(app, queue, dict.fromkeys(Mode, url), tmp_path, pool, processes))
        return workers[-1].ready(before + 1)

    yield start
    for worker in workers:
        worker.kill()
