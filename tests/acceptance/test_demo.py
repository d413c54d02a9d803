"""The tour, as a newcomer takes it: in an empty folder, with an empty HOME, in a pipe; and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path


def _processes_below(folder: Path) -> list[str]:
    """Command lines of processes that know the folder by their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def _start(mp_program: str, tmp_path: Path, empty_home: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [mp_program, "demo"],
        cwd=tmp_path,
        env=empty_home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_tour_ends_with_the_answer_and_leaves_nothing(
    mp_program: str, tmp_path: Path, empty_home: dict[str, str]
) -> None:
    demo = _start(mp_program, tmp_path, empty_home)
    output, _ = demo.communicate(timeout=110)
    assert demo.returncode == 0, output
    assert json.loads(output.splitlines()[-1])["email"] == "ada@example.org"
    for command in ("new service mplogin", "up -d", "call mplogin.sync.register", "tail", "dead", "replay", "down"):
        assert f"$ mp {command}" in output
    assert '"outcome": "failed"' in output  # the tail's word on the task that was broken
    assert (
        '"cents": 500' in output.partition("$ mp call mpwallet.sync.balance")[2]
    )  # and its replay was not for nothing
    assert list(tmp_path.iterdir()) == []
    assert _processes_below(tmp_path) == []


def test_interrupted_it_leaves_nothing_either(mp_program: str, tmp_path: Path, empty_home: dict[str, str]) -> None:
    demo = _start(mp_program, tmp_path, empty_home)
    seen = ""
    for line in demo.stdout:  # the moment at which most is running
        seen += line
        if "$ mp ps" in line:
            break
    demo.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 40
    while not any(command.endswith("mpcli down ") for command in _processes_below(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    demo.send_signal(signal.SIGINT)  # as it tidies up
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, seen + rest
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 30
    while _processes_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_below(tmp_path) == []


def test_ctrl_c_in_a_terminal_is_answered_once(mp_program: str, tmp_path: Path, empty_home: dict[str, str]) -> None:
    """It goes to all that runs there, to the step's own process too."""
    demo = _start(mp_program, tmp_path, empty_home)
    while "$ mp new" not in demo.stdout.readline():
        pass
    deadline = time.monotonic() + 60
    while not (steps := [command for command in _processes_below(tmp_path) if "mpcli new " in command]):
        assert time.monotonic() < deadline
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert (demo.returncode, rest.count("interrupted")) == (130, 1), (steps, rest)
    assert list(tmp_path.iterdir()) == []


def test_killed_it_leaves_no_process(mp_program: str, tmp_path: Path, empty_home: dict[str, str]) -> None:
    demo = _start(mp_program, tmp_path, empty_home)
    for line in demo.stdout:
        if "$ mp ps" in line:
            break
    demo.kill()
    demo.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while _processes_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_below(tmp_path) == []
