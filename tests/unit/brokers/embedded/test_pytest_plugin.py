"""The fixtures of the pytest plugin, as somebody else's tests meet them: a pytest process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FRESH = """
from urllib.parse import urlsplit

import pytest
from kombu import Connection

seen = []


@pytest.mark.parametrize("turn", range(3))
def test_each_test_has_brokers_of_its_own(mp_broker, turn):
    assert mp_broker.queues() == {}
    assert mp_broker.url == mp_broker.sync_url != mp_broker.async_url
    assert mp_broker.environment == {"MP_SYNC_URL": mp_broker.sync_url, "MP_ASYNC_URL": mp_broker.async_url}
    for url, name in ((mp_broker.sync_url, "one"), (mp_broker.async_url, "two")):
        with Connection(url) as connection:
            queue = connection.SimpleQueue(name)
            queue.put("hello")
            queue.close()
    assert mp_broker.queues() == {"one": 1, "two": 1}
    seen.append(mp_broker)


def test_they_share_one_server(mp_broker_server):
    assert len({vhost for broker in seen for vhost in (broker.sync_vhost, broker.async_vhost)}) == 6
    assert {urlsplit(broker.url).port for broker in seen} == {mp_broker_server.port}


def test_what_a_test_declared_ended_with_it():
    with pytest.raises(Exception, match="not found|NOT_ALLOWED"):
        Connection(seen[0].url).connect()


def test_connections_can_be_broken(mp_broker):
    with Connection(mp_broker.async_url) as connection:
        connection.connect()
        mp_broker.close_connections()
        with pytest.raises(connection.connection_errors, match="closed by the operator"):
            connection.drain_events(timeout=10)
"""

WORKER = """
from celery import Celery
from celery.contrib.testing.worker import start_worker


def test_a_worker_in_a_thread(mp_broker):
    app = Celery(broker=mp_broker.url, backend="rpc://", set_as_current=False)
    app.conf.broker_heartbeat = 0  # else its timer lets the worker's loop look up every 10 s only, and the end waits

    @app.task(name="double")
    def double(number):
        return number * 2

    with start_worker(app, perform_ping_check=False):
        assert double.delay(21).get(timeout=20) == 42
"""

IDLE = """
import sys


def test_a_run_that_uses_no_broker_loads_none():
    assert "mpcli.brokers.embedded.pytest_plugin" in sys.modules
    ours = {name for name in sys.modules if name.startswith("mpcli.")}
    assert ours == {"mpcli.brokers", "mpcli.brokers.embedded", "mpcli.brokers.embedded.pytest_plugin"}
    assert not {"celery", "kombu", "typer"} & set(sys.modules)
"""


def passes(folder: Path, tests: str) -> None:
    """Run the tests in an own process, with warnings as errors, and nothing but what an installed mpcli registers."""
    (folder / "test_it.py").write_text(tests)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(folder)],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_test_gets_fresh_brokers(tmp_path: Path) -> None:
    passes(tmp_path, FRESH)


def test_a_celery_worker_runs_on_it(tmp_path: Path) -> None:
    passes(tmp_path, WORKER)


def test_it_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    passes(tmp_path, IDLE)
