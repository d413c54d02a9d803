"""A signal to the command that waits for a detached run, at the moments that only a test can hit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mpcli.runner.proc import pids_of_run
from tests.unit.runner.conftest import is_stopped

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for leftovers in /proc")

# What `mp up -d` does; its supervisor begins when there is a file `go`.
DRIVER = """
import os, sys, time
from pathlib import Path
from mpcli.platform.processes import ProcessSpec
from mpcli.runner.detach import run_detached
from mpcli.runner.lock import take_lock
from mpcli.runner.run import RunPlan, run_platform

runtime, run = Path(sys.argv[1]), sys.argv[2]
lock = take_lock(runtime, 5)
spec = ProcessSpec("broker", (sys.executable, "-c", "import time; time.sleep(1000)"), runtime)
plan = RunPlan(runtime, "embedded", {}, [spec], [], [], time.monotonic())

def work():
    (runtime / "forked").touch()
    while not (runtime / "go").exists():
        time.sleep(0.01)
    yield from run_platform(plan, run, lock)

try:
    for event in run_detached(work, runtime, runtime / "logs"):
        print(type(event).__name__, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def run(tmp_path: Path):
    name = f"detached-{os.getpid()}-{tmp_path.name}"
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
    process.name = name
    yield process
    process.kill()
    process.communicate()
    left = pids_of_run(name)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_supervisor_can_take_a_signal(run, tmp_path, eventually, number):
    eventually((tmp_path / "forked").exists)
    run.send_signal(number)
    (tmp_path / "go").touch()
    told, _ = run.communicate(timeout=40)
    assert (run.returncode, "PlatformReady" in told) == (130, False)


def test_when_it_is_ready_and_the_command_has_not_heard_of_it(run, tmp_path, eventually):
    eventually((tmp_path / "forked").exists)
    run.send_signal(signal.SIGSTOP)
    eventually(lambda: is_stopped(run.pid))
    (tmp_path / "go").touch()
    state = tmp_path / "state.json"
    eventually(lambda: state.exists() and json.loads(state.read_text())["ready"])
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGCONT)
    told, _ = run.communicate(timeout=40)
    assert (run.returncode, "PlatformReady" in told) == (130, False)
    assert not state.exists()
