"""Whatever of a run is killed, nothing of it is left. A test for each row of docs/explanation/processes.md."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from mpcli.platform.state import RunningProcess, read_state
from mpcli.runner.leftovers import end_leftovers
from mpcli.runner.lock import AlreadyRunning, take_lock, try_lock
from mpcli.runner.proc import all_processes
from tests.unit.runner.conftest import is_stopped

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for leftovers in /proc")


def group_exists(group: int) -> bool:
    """Whether any process is left in the group, zombies included."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def reapers_of(driven) -> list[int]:
    return [
        row.pid
        for row in all_processes()
        if row.parent == driven.process.pid and b"mpcli.runner.reaper" in Path(f"/proc/{row.pid}/cmdline").read_bytes()
    ]


def pid_of(driven, name: str) -> int:
    return next(event["pid"] for event in driven.events if event["event"] == "started" and event["process"] == name)


def test_a_killed_supervisor_takes_everything_with_it(drive, process_of, programs, eventually, tmp_path):
    run = drive([process_of("broker")], [process_of("worker", programs["pool"], 1)])
    run.until("ready")
    eventually(lambda: len(run.left()) == 3)
    run.signal(signal.SIGKILL)
    eventually(lambda: not run.left())
    # The reaper leaves the state, so that `mp ps` can tell what happened, and lets go of the lock.
    eventually(lambda: try_lock(tmp_path) is not None)
    assert not read_state(tmp_path).supervisor.alive


def test_a_killed_supervisor_takes_daemons_and_stubborn_processes_with_it(drive, process_of, programs, eventually):
    run = drive([process_of("broker", programs["daemon"])], [process_of("worker", programs["stubborn"], 1)])
    run.until("ready")
    run.hear(2)
    assert len(run.left()) == 3
    run.signal(signal.SIGKILL)
    eventually(lambda: not run.left())


def test_a_supervisor_killed_during_the_start_takes_everything_with_it(drive, process_of, eventually):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    run = drive([process_of("broker", port=free)])
    run.until("started")
    run.signal(signal.SIGKILL)
    eventually(lambda: not run.left())


def test_the_terminal_closes(drive, process_of, programs):
    run = drive([process_of("broker")], [process_of("worker", programs["pool"], 1)])
    run.until("ready")
    run.signal(signal.SIGHUP)
    run.until("stopped")
    assert run.wait() == 0
    assert not run.left()


def test_a_killed_reaper_is_replaced_and_the_new_one_does_its_duty(drive, process_of, programs, eventually):
    run = drive([process_of("broker")], [process_of("worker", programs["pool"], 1)])
    run.until("ready")
    (first,) = reapers_of(run)
    os.kill(first, signal.SIGKILL)
    run.until("warning")
    eventually(lambda: reapers_of(run) not in ([], [first]))
    run.signal(signal.SIGKILL)
    eventually(lambda: not run.left())


def test_supervisor_and_reaper_killed_together_leave_what_the_next_command_ends(
    drive, process_of, programs, eventually, tmp_path
):
    run = drive([process_of("broker", programs["daemon"])], [process_of("worker", programs["pool"], 1)])
    run.until("ready")
    run.hear(2)
    assert len(run.left()) == 4
    (reaper,) = reapers_of(run)
    run.signal(signal.SIGSTOP)  # else it starts a new reaper in between
    eventually(lambda: is_stopped(run.process.pid))
    os.kill(reaper, signal.SIGKILL)
    run.signal(signal.SIGKILL)
    run.wait()
    assert len(run.left()) == 4
    # A kill returns before it has killed: the reaper, which nobody here can wait for, holds the lock a moment longer.
    eventually(lambda: try_lock(tmp_path) is not None)
    state = read_state(tmp_path)
    ended = end_leftovers(state.run, state.processes, 5)
    assert ended[:2] == ["broker", "worker"]
    assert not run.left()


@pytest.mark.parametrize("victim", ["broker", "worker"])
def test_a_killed_process_takes_its_group_with_it_and_the_rest_stays(
    drive, process_of, programs, eventually, tmp_path, victim
):
    run = drive([process_of("broker", programs["pool"])], [process_of("worker", programs["pool"], 1)])
    run.until("ready")
    eventually(lambda: len(run.left()) == 4)
    pid = pid_of(run, victim)
    os.kill(pid, signal.SIGKILL)
    died = run.until("died")
    assert (died["process"], died["how"]) == (victim, "killed by SIGKILL")
    eventually(lambda: not group_exists(pid))
    assert len(run.left()) == 2
    row = next(process for process in read_state(tmp_path).processes if process.name == victim)
    assert (row.status, row.ended) == ("exited", "killed by SIGKILL")
    run.signal(signal.SIGTERM)
    assert run.wait() == 0
    assert not run.left()


def test_the_last_words_of_a_process_that_ends_by_itself(drive, process_of):
    code = "import sys, time; sys.stdin.read(); time.sleep(.3); print('first'); sys.exit('no disk')"
    run = drive([process_of("broker")], [process_of("worker", code, 1)])
    died = run.until("died")
    assert died["how"] == "exit code 1"
    assert died["last_lines"] == ["first", "no disk"] or died["last_lines"] == ["no disk", "first"]
    run.signal(signal.SIGTERM)
    assert run.wait() == 0


def test_a_process_that_fails_to_start_stops_the_others_and_is_told(drive, process_of, eventually):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    run = drive([process_of("broker")], [process_of("worker", "raise ImportError('no such module')", 1, port=free)])
    failed = run.until("failed")
    assert failed["message"] == "worker: it ended while starting: exit code 1"
    assert failed["hint"] == "its last words: ImportError: no such module"
    assert run.wait() == 1
    assert not run.left()


def test_a_broker_that_is_not_ready_in_time_fails_with_the_brokers_code(drive, process_of):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    run = drive([process_of("broker", port=free, start_timeout=0.5)])
    assert run.until("failed")["message"] == "broker: it was not ready within 0.5 s"
    assert run.wait() == 6
    assert not run.left()


def test_stops_begin_with_the_highest_stage(drive, process_of):
    run = drive([process_of("broker")], [process_of("worker", stage=1)])
    run.until("ready")
    run.signal(signal.SIGINT)
    run.until("stopped")
    assert [event["process"] for event in run.events if event["event"] == "process-stopped"] == ["worker", "broker"]
    assert run.wait() == 0


def test_a_second_signal_kills(drive, process_of, programs):
    run = drive([process_of("broker", programs["stubborn"], grace=60)])
    run.until("ready")
    run.hear(1)
    run.signal(signal.SIGINT)
    run.until("stopping")
    run.signal(signal.SIGINT)
    assert run.until("process-stopped")["killed"] is True
    assert run.wait() == 130
    assert not run.left()


def test_interrupted_during_the_start_it_stops_what_was_started(drive, process_of, eventually):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    run = drive([process_of("one"), process_of("two", port=free)])
    run.until("started", process="two")
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    assert not run.left()


def test_when_nothing_runs_any_more_the_run_ends(drive, process_of):
    run = drive([process_of("broker", "import time; time.sleep(.5)")])
    assert run.until("failed")["message"] == "every process of the platform ended"
    assert run.wait() == 1


def test_a_process_that_cannot_end_is_killed_after_its_grace(drive, process_of, programs, eventually):
    run = drive([process_of("broker")], [process_of("worker", programs["pool"], 1, grace=0.3)])
    run.until("ready")
    worker = pid_of(run, "worker")
    os.kill(worker, signal.SIGSTOP)
    # Of two signals that wait the kernel delivers the lower number first: SIGTERM would come before SIGSTOP.
    eventually(lambda: is_stopped(worker))
    run.signal(signal.SIGTERM)
    assert run.until("process-stopped", process="worker")["killed"] is True
    assert run.wait() == 0
    assert not run.left()


def test_a_second_run_is_refused_with_the_pid_of_the_first(drive, process_of, tmp_path):
    run = drive([process_of("broker")])
    run.until("ready")
    with pytest.raises(AlreadyRunning, match=f"its supervisor is pid {run.process.pid}"):
        take_lock(tmp_path, 0)
    run.signal(signal.SIGTERM)
    run.wait()


def test_a_number_that_was_given_to_a_stranger_is_left_alone(drive, process_of, tmp_path):
    run = drive([process_of("broker")])
    run.until("ready")
    pid = pid_of(run, "broker")
    assert end_leftovers("another run", [RunningProcess("broker", pid, "12345")], 0.1) == []
    assert run.left() == [pid]
    run.signal(signal.SIGTERM)
    run.wait()


def test_the_state_is_private_and_names_every_process(drive, process_of, tmp_path):
    run = drive([process_of("broker")], [process_of("worker", stage=1)])
    run.until("ready")
    file = tmp_path / "state.json"
    assert file.stat().st_mode & 0o777 == 0o600
    state = json.loads(file.read_text())
    assert state["ready"] is True
    assert [(row["name"], row["role"], row["status"]) for row in state["processes"]] == [
        ("broker", "broker", "ready"),
        ("worker", "worker", "ready"),
    ]
    run.signal(signal.SIGTERM)
    run.wait()
    assert not file.exists()
