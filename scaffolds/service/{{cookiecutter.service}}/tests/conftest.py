"""What the tests share: the service as it really runs, workers and all, on a broker inside this process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from mpcli.brokers.embedded import DevBroker
from mpcli.bus import Caller
from mpcli.bus.naming import Mode
from mpcli.bus.topology import declare_topology

# Queue -> the application whose worker consumes it.
WORKERS = {
    "{{ cookiecutter.service }}.sync": "{{ cookiecutter.service }}.apps:sync_app",
    "{{ cookiecutter.service }}.async": "{{ cookiecutter.service }}.apps:async_app",
{% if cookiecutter.kind == "login" %}
    "{{ cookiecutter.wallet }}.sync": "tests.wallet_stand_in:sync_app",
{% endif %}
}
{% if cookiecutter.kind != "stubs" %}


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what the service keeps, for tests that call its functions."""
    monkeypatch.setenv("{{ cookiecutter.env }}_DATA", str(tmp_path))
    return tmp_path
{% endif %}


@pytest.fixture(scope="session")
def workers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers keep their data."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def caller(mp_broker_server: DevBroker, workers_folder: Path) -> Iterator[Caller]:
    """A client of the service while its workers run. The first call waits until they are up."""
    url = mp_broker_server.url  # one broker for both modes: their exchanges and queues have names of their own
    declare_topology({queue.split(".")[0] for queue in WORKERS}, dict.fromkeys(Mode, url))
    with ExitStack() as stack:
        for queue, app in WORKERS.items():
            stack.enter_context(_worker(app, queue, url, workers_folder))
        yield stack.enter_context(Caller(url, url, prefix="{{ cookiecutter.prefix }}", timeout=60))


@contextmanager
def _worker(app: str, queue: str, url: str, data: Path) -> Iterator[None]:
    environment = {**os.environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": url, "{{ cookiecutter.env }}_DATA": str(data)}
    options = ["-Q", queue, "-n", f"{queue}.test@%h", "--pool=solo", "--without-gossip", "--without-mingle"]
    # Not for ever, as in production: a worker whose broker ended with this process ends too.
    settings = ["--", "broker.connection_max_retries=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", app, "worker", *options, "--loglevel=WARNING", *settings],
        cwd=Path(__file__).parent.parent,
        env=environment,
    )
    try:
        yield
    finally:
        # Not asked to stop, which takes seconds: it has nothing to finish, and its broker ends with it.
        process.kill()
        process.wait()
