"""Ctrl-C while a broker keeps everybody waiting: each command ends at once, says so, and with its code."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A broker that lets everybody in and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(40)
        yield server


@pytest.mark.parametrize(
    "words",
    [
        "call mplogin.sync.x --timeout 600",
        "call mplogin.async.x",
        "call mplogin.async.x --wait --timeout 600",
        "call mplogin.sync.x --batch",
        "tail mplogin",
        "tail mplogin --record kept.mprec",
        "trace 3f2a9c1b --service mplogin",
        "peek mplogin.dead",
        "purge mplogin.dead --yes",
        "replay mplogin.dead --yes",
        "queues mplogin",
        "shell -c mplogin.sync.x()",
    ],
)
def test_ctrl_c_is_never_silent(
    words: str, silent: socket.socket, mp_program: str, tmp_path: Path, environment_at: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / "mp.toml").touch()
    url = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
    process = subprocess.Popen(
        [mp_program, *words.split()],
        cwd=tmp_path,
        env=environment_at(tmp_path, MP_SYNC_URL=url, MP_ASYNC_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with silent.accept()[0]:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=40)
    assert (process.returncode, output) == (130, ""), errors
    assert "interrupted" in errors
    assert len(errors.strip().splitlines()) <= 2, errors
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["mp.toml"]


AT_THE_END = """
import atexit, time
from pathlib import Path

def wait():
    Path("ending").touch()
    while not Path("go").exists():
        time.sleep(0.01)

atexit.register(wait)
"""


def test_what_is_done_is_done(mp_program: str, tmp_path: Path, environment_at: Callable[..., dict[str, str]]) -> None:
    (tmp_path / "mp.toml").touch()
    (tmp_path / "sitecustomize.py").write_text(AT_THE_END)
    process = subprocess.Popen(
        [mp_program, "config", "--json"],
        cwd=tmp_path,
        env=environment_at(tmp_path, PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "ending").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go").touch()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert output
