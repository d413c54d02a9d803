"""`mp broker run` from outside: ready, stopped, killed, started again, and refused with a reason."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from amqp import Connection, Message

Start = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def broker_run(mp_program: str, empty_home: dict[str, str], run_folder: Path) -> Iterator[Start]:
    """Start `mp broker run` with options; gives the process and its port."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [mp_program, "broker", "run", *options],
            env={**empty_home, "MP_TEST_RUN": str(run_folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        assert line.startswith("ready on 127.0.0.1:"), process.communicate(timeout=60)
        return process, int(line.rpartition(":")[2])

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_is_durable_is_there_again_however_it_ended(broker_run: Start, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "data"
    process, port = broker_run("--data", str(folder), "--memory", "16")
    with closing(Connection(f"127.0.0.1:{port}")) as connection:
        connection.connect()
        channel = connection.channel()
        channel.confirm_select()
        channel.queue_declare("kept", durable=True, auto_delete=False)
        channel.basic_publish_confirm(Message("hello", delivery_mode=2), "", "kept")
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 0)
        connection.collect()
    assert process.communicate() == ("", ""), "it says one line, and nothing when it is told to stop"
    _, again = broker_run("--data", str(folder), "--port", str(port))
    assert again == port
    with closing(Connection(f"127.0.0.1:{port}")) as connection:
        connection.connect()
        assert connection.channel().basic_get("kept", no_ack=True).body == "hello"


def test_what_cannot_be_is_refused_with_a_reason(mp, broker_run: Start, tmp_path: Path) -> None:
    folder, file = tmp_path / "used", tmp_path / "file"
    file.touch()
    _, port = broker_run("--data", str(folder))
    for options, code, message in (
        (("--port", str(port)), 6, f"cannot listen on 127.0.0.1:{port}: Address already in use"),
        (("--data", str(folder)), 6, f"{folder / 'journal.sqlite3'} is in use by another broker"),
        (("--data", str(file)), 6, f"{file} is not a folder"),
        (("--host", "0.0.0.0"), 6, "0.0.0.0 can be reached from other machines and the password is the default one"),
        (("--port", "many"), 2, "invalid value for '--port'"),
        (("--memory", "0"), 2, "invalid value for '--memory'"),
    ):
        done = mp("broker", "run", *options)
        first, hint = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (code, ""), options
        assert first.startswith(f"mp: {message}")
        assert hint.startswith("    ")
