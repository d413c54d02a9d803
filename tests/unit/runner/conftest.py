"""A run of plain Python processes, driven from outside, so that any part of it can be killed."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The supervisor of a test: what `mp up` does, with the specs that the test gives.
DRIVER = """
import json, os, sys, time
from pathlib import Path
from mpcli.errors import MpError
from mpcli.platform.processes import ProcessSpec, TcpPort
from mpcli.runner.events import as_dict
from mpcli.runner.lock import take_lock
from mpcli.runner.run import RunPlan, run_platform

plan = json.loads(sys.argv[1])
runtime = Path(plan["runtime"])
lock = take_lock(runtime, 5)

def spec(data):
    ready = TcpPort("127.0.0.1", data["port"]) if data.get("port") else None
    code = data["code"]
    return ProcessSpec(data["name"], (sys.executable, "-c", code), runtime, ready=ready, stage=data["stage"],
        grace=data.get("grace", 5.0), start_timeout=data.get("start_timeout", 10.0))

run = RunPlan(runtime, "embedded", {}, [spec(one) for one in plan["brokers"]], [spec(one) for one in plan["workers"]],
    [], time.monotonic())
try:
    for event in run_platform(run, plan["run"], lock):
        print(json.dumps(as_dict(event)), flush=True)
except MpError as error:
    print(json.dumps({"event": "failed", "message": error.message, "hint": error.hint}), flush=True)
    sys.exit(int(error.exit_code))
except KeyboardInterrupt:
    sys.exit(130)
"""

SLEEP = "import time; print('up', flush=True); time.sleep(1000)"
# Has a child in its own group, as a worker has a pool, which does not notice that its parent is gone.
WITH_POOL = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); time.sleep(1000)"
# Has a child that left the group, as a daemon does.
WITH_DAEMON = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)\n"
    "time.sleep(1000)"
)
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def process(name: str, code: str = SLEEP, stage: int = 0, **more: object) -> dict[str, object]:
    return {"name": name, "code": code, "stage": stage, **more}


class Driven:
    """A supervisor in a process of its own, and the events that it tells."""

    def __init__(self, plan: dict[str, object]) -> None:
        self.plan = plan
        self.events: list[dict[str, object]] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(plan)], stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self.process.stdout.close()
        self._queue.put("")

    def close(self) -> None:
        """Kill the supervisor if it still runs, and read the rest."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)

    def until(self, kind: str, seconds: float = 40, **fields: object) -> dict[str, object]:
        """The next event of a kind with these fields; fails at the deadline or the end of the events."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            assert line, f"the events ended without {kind}: {self.events}"
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == kind and fields.items() <= event.items():
                return event

    def hear(self, lines: int) -> None:
        """Wait until the processes have printed so many lines in all: each of them prints one when it is up. One that
        is killed off its reader before that ends by itself."""
        while [event["event"] for event in self.events].count("log") < lines:
            self.until("log")

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 40) -> int:
        return self.process.wait(seconds)

    def left(self) -> list[int]:
        """The processes of the run that are alive, found by the mark in their environment."""
        from mpcli.runner.proc import pids_of_run

        return pids_of_run(str(self.plan["run"]))


def await_that(condition: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP, which takes effect some time after `kill` returned, has taken effect."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driven]]:
    """Start a run of the given brokers and workers; whatever the test leaves is killed, and counted as a failure."""
    made: list[Driven] = []

    def start(brokers: list[dict[str, object]], workers: list[dict[str, object]] | None = None) -> Driven:
        run = f"{os.getpid()}-{len(made)}-{time.monotonic_ns()}"
        plan = {"runtime": str(tmp_path), "run": run, "brokers": brokers, "workers": workers or []}
        made.append(Driven(plan))
        return made[-1]

    yield start
    left = []
    for driven in made:
        left += driven.left()
        for pid in driven.left():
            os.kill(pid, signal.SIGKILL)
        driven.close()
    assert not left


@pytest.fixture
def process_of() -> Callable[..., dict[str, object]]:
    """Make the description of one process."""
    return process


@pytest.fixture
def programs() -> dict[str, str]:
    """The programs that the runs of these tests are made of."""
    return {"sleep": SLEEP, "pool": WITH_POOL, "daemon": WITH_DAEMON, "stubborn": STUBBORN}


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds; fails at the deadline."""
    return await_that
