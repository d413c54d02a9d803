"""Ports and their owners, log files, events as JSON, worker command lines."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable, ConfigError
from mpcli.platform.layout import Service
from mpcli.platform.processes import Consumers
from mpcli.runner import logs, ports
from mpcli.runner.events import Log, PlatformReady, ProcessDied, as_dict, from_dict
from mpcli.runner.proc import all_processes, owner_of_port, resident_of_group, uptime_of
from mpcli.runner.workers import worker_process

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="owners of ports are known on Linux alone")


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@linux
def test_the_owner_of_a_port_is_named_with_its_pid(taken):
    assert owner_of_port(taken).endswith(f"(pid {os.getpid()})")
    assert owner_of_port(free_port()) == ""


@linux
def test_a_configured_port_that_is_taken_is_an_error_that_names_the_owner(taken):
    with pytest.raises(
        BrokerUnavailable, match=rf"port {taken} for the sync broker is taken by .* \(pid {os.getpid()}\)"
    ):
        ports.choose_ports({Mode.SYNC: taken, Mode.ASYNC: None})


def test_one_port_for_both_is_refused():
    with pytest.raises(ConfigError, match="both brokers"):
        ports.choose_ports({Mode.SYNC: 7000, Mode.ASYNC: 7000})


def test_a_default_port_that_is_taken_is_replaced_and_that_is_said(taken, monkeypatch):
    free = free_port()
    monkeypatch.setattr(ports, "DEFAULT_PORTS", {Mode.SYNC: taken, Mode.ASYNC: free})
    chosen, moved = ports.choose_ports({Mode.SYNC: None, Mode.ASYNC: None})
    assert chosen[Mode.ASYNC] == free
    assert chosen[Mode.SYNC] not in (taken, free)
    assert [(event.mode, event.wanted, event.port) for event in moved] == [("sync", taken, chosen[Mode.SYNC])]


def test_a_default_port_that_the_other_broker_was_given_is_replaced(monkeypatch):
    first, second = free_port(), free_port()
    monkeypatch.setattr(ports, "DEFAULT_PORTS", {Mode.SYNC: first, Mode.ASYNC: second})
    chosen, moved = ports.choose_ports({Mode.SYNC: second, Mode.ASYNC: None})
    assert chosen[Mode.SYNC] == second != chosen[Mode.ASYNC]
    assert moved[0].owner == "the other broker"


def test_log_files_are_private_begin_anew_and_turn_over(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST", 20)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "old.log").write_text("of the run before")
    with logs.LogFolder(folder) as log:
        for number in range(4):
            log.write(Log("mplogin.sync", f"line number {number}"))
        log.write(ProcessDied("mplogin.sync", "worker", 7, "exit code 1", ("last",)))
    assert not (folder / "old.log").exists()
    assert (folder / "mplogin.sync.log").stat().st_mode & 0o777 == 0o600
    older, newer = (folder / "mplogin.sync.log.1").read_text(), (folder / "mplogin.sync.log").read_text()
    assert (older, newer) == ("line number 0\nline number 1\n", "line number 2\nline number 3\n")
    assert json.loads((folder / "up.jsonl").read_text())["how"] == "exit code 1"


@pytest.mark.parametrize(
    "event",
    [
        ProcessDied("a", "worker", 1, "exit code 1", ("x", "\x1b[31m")),
        PlatformReady(1.0, 0.1, 0.2, 0.9, "embedded", {"sync": "amqp://h/"}, 1, ("mplogin",), detached=True),
    ],
)
def test_events_come_back_from_json_as_they_were(event):
    assert from_dict(json.loads(json.dumps(as_dict(event)))) == event


def test_a_worker_consumes_its_own_queue_under_a_unique_name(tmp_path):
    service = Service("mplogin", tmp_path, {Mode.SYNC: "mplogin.apps:sync_app"})
    urls = {Mode.SYNC: "amqp://s", Mode.ASYNC: "amqp://a"}
    spec = worker_process(service, Mode.SYNC, urls, "mp", tag="abc", stage=3)
    assert spec.argv[:3] == (sys.executable, "-m", "celery")
    words = " ".join(spec.argv)
    assert "-A mplogin.apps:sync_app worker -Q mplogin.sync -n mplogin.sync.abc@%h" in words
    assert (spec.name, spec.stage, spec.ready) == ("mplogin.sync", 3, Consumers("amqp://s", "mplogin.sync"))
    assert (spec.env["MP_SYNC_URL"], spec.env["MP_ASYNC_URL"]) == ("amqp://s", "amqp://a")
    assert spec.env["PYTHONPATH"].split(os.pathsep)[0] == str(tmp_path)


def test_a_service_with_a_venv_of_its_own_runs_on_it(tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    service = Service("mplogin", tmp_path, {Mode.ASYNC: "mplogin.apps:async_app"})
    spec = worker_process(service, Mode.ASYNC, {Mode.SYNC: "s", Mode.ASYNC: "a"}, "mp", tag="abc", stage=1)
    assert spec.argv[0] == str(python)


def test_memory_and_uptime_of_this_process():
    own = next(row for row in all_processes() if row.pid == os.getpid())
    assert resident_of_group(all_processes(), os.getpid()) >= own.resident // 2 > 1_000_000
    uptime = uptime_of(os.getpid())
    assert uptime is None or 0 <= uptime < 36000
