"""Whatever stdout and stderr are, a pipe that nobody reads, closed, full, unable to show a sign: no traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from terminal import Terminal


def run(words: str, mp_program: str, env: dict[str, str], redirected: str) -> subprocess.CompletedProcess[str]:
    """As a shell runs it."""
    line = f'"$0" {words} {redirected}'
    return subprocess.run(
        ["/bin/sh", "-c", line, mp_program], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def home(empty_home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a user in the folder of a platform, whose paths are long."""
    folder = tmp_path / ("a-long-name-of-a-folder-that-is-cut" * 2)
    (folder / "mplogin").mkdir(parents=True)
    (folder / "mp.toml").write_text('[context.lab]\nsync_url = "amqp://rabbit.example"\ncolour = "red"\n')
    (folder / "mplogin" / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin:app"\n')
    (folder / "mplogin" / "mplogin.py").write_text(
        "@app.task\ndef register(email: str) -> dict[str, int]:\n    'Żółw: a long line of doc that does not fit.'\n"
    )
    monkeypatch.chdir(folder)
    return empty_home


@pytest.mark.parametrize("words", ["--version", "--help", "completion bash", "call --help", "config"])
def test_a_pipe_without_a_reader(words: str, mp_program: str, home: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [mp_program, *words.split()], stdout=writing, stderr=subprocess.PIPE, env=home, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_code_of_the_shell_that_prints_and_nobody_reads(mp_program: str, home: dict[str, str]) -> None:
    code = "for number in range(10**6): print(number)"
    done = run(f"shell -c '{code}'", mp_program, home, "| head -1")
    assert (done.stdout, done.stderr) == ("0\n", "")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [mp_program, "shell", "-c", code], stdout=writing, stderr=subprocess.PIPE, env=home, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run("shell -c 'raise BrokenPipeError'", mp_program, home, "| cat")
    assert "BrokenPipeError" in done.stderr  # of another pipe of the code's


@pytest.mark.parametrize("words", ["--version", "config", "tasks --offline"])
def test_closed_streams(words: str, mp_program: str, home: dict[str, str]) -> None:
    done = run(words, mp_program, home, "<&- >&- 2>&-")
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no /dev/full")
@pytest.mark.parametrize("words", ["--version", "config", "tasks --offline"])
def test_a_full_disk_is_told_once(words: str, mp_program: str, home: dict[str, str]) -> None:
    done = run(words, mp_program, home, ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["mp: No space left on device", "    make room on the disk first"]


@pytest.mark.parametrize(
    ("words", "there"),
    [("config", "-----"), ("tasks --offline", "-----"), ("context list", "-----"), ("--help", "Example")],
)
def test_a_terminal_that_cannot_show_every_sign(words: str, there: str, home: dict[str, str], tmp_path: Path) -> None:
    with Terminal(["mp", *words.split()], Path.cwd(), {**home, "PYTHONIOENCODING": "ascii"}, 70, 60) as terminal:
        assert terminal.wait() == 0
        shown = terminal.text
    assert "defect" not in shown
    assert shown.isascii()
    assert there in shown
