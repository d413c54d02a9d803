"""`mp up`, `mp ps`, `mp down` with real workers: what is shown, what is refused, what is left (nothing)."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START = ("up", "-d")


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture
def platform(mp, tmp_path: Path, processes_of) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`mp` in a platform with one service; at the end `mp down` must leave no process that names its folder."""
    folder = tmp_path / "shop"
    folder.mkdir()

    def here(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        return mp(*arguments, cwd=folder, **more)

    here.folder = folder  # type: ignore[attr-defined]
    assert here("new", "service", "mplogin").returncode == 0
    yield here
    down = here("down")
    assert down.returncode == 0, down.stderr
    eventually(lambda: not processes_of(folder))


def rows(platform) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(platform("ps").stdout)["processes"]}


def status(platform) -> str:
    return json.loads(platform("ps").stdout)["state"]


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_up_detached_ps_and_down(platform, processes_of):
    assert status(platform) == "down"
    up = platform(*START)
    assert up.returncode == 0, up.stderr
    ready = json.loads(up.stdout.splitlines()[-1])
    assert ready["event"] == "ready"
    assert ready["workers"] <= ready["seconds"]
    assert ":***@" in ready["urls"]["sync"]

    found = json.loads(platform("ps").stdout)
    assert (found["state"], found["supervisor"]) == ("ready", ready["supervisor"])
    assert {row["name"] for row in found["processes"]} == {
        "broker.sync",
        "broker.async",
        "mplogin.sync",
        "mplogin.async",
    }
    for row in found["processes"]:
        assert row["state"] == "ready"
        assert row["memory"] > 5_000_000
        assert row["uptime"] < 120
        assert ":***@" in row["url"]

    second = platform(*START)
    assert second.returncode == 2
    assert f"pid {ready['supervisor']}" in second.stderr

    down = platform("down")
    assert (down.returncode, json.loads(down.stdout.splitlines()[-1])["event"]) == (0, "stopped")
    assert not processes_of(platform.folder)
    again = platform("down")
    assert (again.returncode, json.loads(again.stdout)["event"]) == (0, "nothing-runs")


def test_a_worker_that_cannot_start_is_told_with_its_last_words(platform, processes_of):
    (platform.folder / "mplogin" / "mplogin" / "apps.py").write_text("raise RuntimeError('no such thing')\n")
    up = platform(*START)
    assert up.returncode == 1
    assert "ended while starting: exit code" in up.stderr
    assert not processes_of(platform.folder)
    died = [event for line in up.stdout.splitlines() if (event := json.loads(line))["event"] == "died"]
    assert any("no such thing" in line for line in died[0]["last_lines"])


def test_a_configured_port_that_is_taken_exits_6_and_names_its_owner(platform):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = platform(*START, "--sync-port", str(taken.getsockname()[1]))
    assert up.returncode == 6
    assert f"(pid {os.getpid()})" in up.stderr
    assert status(platform) == "down"


def test_a_killed_worker_takes_its_pool_with_it_and_the_rest_stays(platform):
    assert platform(*START).returncode == 0
    worker = rows(platform)["mplogin.async"]["pid"]
    pool = children_of(worker)
    assert pool
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in [worker, *pool]))
    eventually(lambda: status(platform) == "impaired")
    found = rows(platform)
    assert found["mplogin.async"]["state"] == "exited: killed by SIGKILL"
    assert {row["state"] for name, row in found.items() if name != "mplogin.async"} == {"ready"}


def test_a_killed_supervisor_leaves_nothing_and_the_next_up_works(platform, processes_of):
    up = platform(*START)
    os.kill(json.loads(up.stdout.splitlines()[-1])["supervisor"], signal.SIGKILL)
    eventually(lambda: not processes_of(platform.folder))
    assert status(platform) == "dead"
    assert platform(*START).returncode == 0
    assert status(platform) == "ready"


class Terminal:
    """`mp up` on a pseudo-terminal of its own."""

    def __init__(self, program: str, folder: Path, environment: dict[str, str]) -> None:
        self.seen = ""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(program, [program, "up"], {**environment, "TERM": "xterm"})

    def until(self, text: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            try:
                self.seen += os.read(self._master, 65536).decode()
            except OSError:
                assert text in self.seen, self.seen

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def close(self) -> None:
        os.close(self._master)

    def exit_code(self) -> int:
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return os.waitstatus_to_exitcode(ended[1])


@pytest.fixture
def terminal(platform, mp_program, empty_home, run_folder) -> Terminal:
    return Terminal(mp_program, platform.folder, {**empty_home, "MP_TEST_RUN": str(run_folder)})


def test_in_a_terminal_ctrl_c_stops_all_in_order(terminal, platform, processes_of):
    terminal.until("Ctrl-C stops it")
    assert "\x1b[" in terminal.seen
    assert "mplogin.sync" in terminal.seen
    terminal.press_ctrl_c()
    terminal.until("all is stopped")
    assert terminal.seen.index("mplogin.sync stopped") < terminal.seen.index("broker.sync stopped")
    assert terminal.exit_code() == 0
    assert not processes_of(platform.folder)


def test_ctrl_c_in_the_middle_of_the_start(platform, mp_program, empty_home, run_folder, processes_of):
    apps = platform.folder / "mplogin" / "mplogin" / "apps.py"
    apps.write_text("import time\ntime.sleep(1000)\n")  # the start has no end
    terminal = Terminal(mp_program, platform.folder, {**empty_home, "MP_TEST_RUN": str(run_folder)})
    terminal.until("mplogin.sync started")
    terminal.press_ctrl_c()
    terminal.until("all is stopped")
    assert terminal.exit_code() == 130
    assert not processes_of(platform.folder)


def test_the_terminal_is_closed(terminal, platform, processes_of):
    terminal.until("Ctrl-C stops it")
    terminal.close()
    eventually(lambda: not processes_of(platform.folder))
    terminal.exit_code()
    assert status(platform) == "down"


def test_down_stops_what_runs_in_another_terminal(terminal, platform):
    terminal.until("Ctrl-C stops it")
    down = platform("down")
    assert down.returncode == 0
    terminal.until("all is stopped")
    assert terminal.exit_code() == 0


def test_down_says_what_becomes_of_what_it_does_not_wait_for(platform, mp_program, empty_home, processes_of):
    supervisor = json.loads(platform(*START).stdout.splitlines()[-1])["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)  # it takes its time
    try:
        with subprocess.Popen(
            [mp_program, "down"], cwd=platform.folder, env=empty_home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as down:
            assert json.loads(down.stdout.readline())["event"] == "stopping"
            down.send_signal(signal.SIGINT)
            _, errors = down.communicate(timeout=40)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    told = b"mp: interrupted: the platform goes on stopping\n    `mp ps` shows what is left of it\n"
    assert (down.returncode, errors) == (130, told)
    eventually(lambda: not processes_of(platform.folder))


def start(program: str, folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [program, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def test_the_reader_of_a_pipe_goes_away(platform, mp_program, empty_home, processes_of):
    with start(mp_program, platform.folder, empty_home, "up") as up:
        assert up.stdout is not None
        while json.loads(up.stdout.readline())["event"] != "ready":
            pass
        up.stdout.close()
        os.kill(rows(platform)["mplogin.async"]["pid"], signal.SIGKILL)  # there is something to tell, and nobody reads
        up.wait(60)
    assert not processes_of(platform.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_detaching_command_that_is_interrupted_stops_what_it_started(
    platform, mp_program, empty_home, processes_of, number
):
    with start(mp_program, platform.folder, empty_home, *START) as up:
        assert up.stdout is not None
        while json.loads(up.stdout.readline())["event"] != "started":
            pass
        up.send_signal(number)
        up.stdout.read()
        assert up.wait(60) == 130
    assert not processes_of(platform.folder)


def test_with_remote_brokers_only_workers_are_started(platform, mp_program, empty_home, run_folder):
    environment = {**empty_home, "MP_TEST_RUN": str(run_folder), "MP_BROKER_PASSWORD": "remote-secret"}
    brokers = [start(mp_program, run_folder, environment, "broker", "run", "--port", "0") for _ in range(2)]
    try:
        ports = [broker.stdout.readline().strip().rpartition(":")[2] for broker in brokers]
        lines = [
            f'{mode}_url = "amqp://guest:remote-secret@127.0.0.1:{port}//"'
            for mode, port in zip(("sync", "async"), ports, strict=True)
        ]
        (platform.folder / "mp.toml").write_text("\n".join(["[broker]", *lines]))
        up = platform(*START)
        assert up.returncode == 0, up.stderr
        assert set(rows(platform)) == {"mplogin.sync", "mplogin.async"}
        assert "remote-secret" not in up.stdout + up.stderr + platform("ps").stdout
        assert platform("down").returncode == 0
    finally:
        for broker in brokers:
            broker.terminate()
            broker.communicate(timeout=60)
