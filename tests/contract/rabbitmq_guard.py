"""Runs one RabbitMQ node for the tests, by the provider's own plan, and ends it when the test run ends.

    python rabbitmq_guard.py FOLDER PORT LOCK

Writes FOLDER/node.json once the node answers. It stops the node on SIGTERM, or when the record lock on the file LOCK
becomes free, which the kernel sees to even if the test run is killed. If this process itself is killed, the kernel
sends SIGTERM to the node.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpcli.brokers.rabbitmq.installation import find_installation
from mpcli.brokers.rabbitmq.provider import RabbitMQProvider
from mpcli.bus.naming import Mode
from mpcli.platform.processes import AmqpPort, ProcessSpec

PR_SET_PDEATHSIG = 1


def main(folder: Path, port: int, lock: Path) -> int:
    end, ended_with_run = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_lock, args=(lock, ended_with_run, end), daemon=True).start()
    plan = RabbitMQProvider().plan(folder, {Mode.SYNC: port})
    with running(plan.processes, end) as processes:
        _write(folder / "node.json", _description(plan.urls[Mode.SYNC], plan.processes[-1]))
        while not end.wait(0.2):
            if any(process.poll() is not None for process in processes.values()):
                return 1
        (folder / "node.json").unlink()
    if ended_with_run.is_set():
        shutil.rmtree(folder)
    return 0


@contextmanager
def running(
    specs: list[ProcessSpec], end: threading.Event | None = None, user: int | None = None
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The processes of a plan, all ready; stopped in the reverse order, so that no process of theirs is left."""
    started: dict[str, tuple[ProcessSpec, subprocess.Popen[bytes]]] = {}
    try:
        for stage in sorted({spec.stage for spec in specs}):
            of_stage = [spec for spec in specs if spec.stage == stage]
            started |= {spec.name: (spec, _start(spec, user)) for spec in of_stage}
            for spec in of_stage:
                _await_ready(*started[spec.name], end or threading.Event())
        yield {name: process for name, (_, process) in started.items()}
    finally:
        for spec, process in reversed(started.values()):
            stop(spec, process)


def _wait_for_lock(lock: Path, *events: threading.Event) -> None:
    with lock.open("rb+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
    for event in events:
        event.set()


def _start(spec: ProcessSpec, user: int | None) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)

    def die_with_guard() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return subprocess.Popen(
        spec.argv,
        cwd=spec.cwd,
        env={**os.environ, **spec.env},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        preexec_fn=die_with_guard,  # noqa: PLW1509  the one other thread waits in the kernel and holds no lock
    )


def _await_ready(spec: ProcessSpec, process: subprocess.Popen[bytes], end: threading.Event) -> None:
    deadline = time.monotonic() + spec.start_timeout
    while not _answers(spec):
        if process.poll() is not None or end.is_set() or time.monotonic() > deadline:
            raise SystemExit(f"{spec.name} did not become ready; exit code so far: {process.returncode}")
        time.sleep(0.05)


def _answers(spec: ProcessSpec) -> bool:
    try:
        with socket.create_connection((spec.ready.host, spec.ready.port), 1) as connection:
            if not isinstance(spec.ready, AmqpPort):
                return True
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False


def stop(spec: ProcessSpec, process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, spec.stop_signal)
        process.wait(spec.grace)
    except ProcessLookupError:
        process.wait()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _description(url: str, node: ProcessSpec) -> dict[str, object]:
    """What the fixtures need: the URL, and how to evaluate an expression inside the node."""
    root = find_installation().erl.resolve().parent.parent
    calls = [*root.glob("erts-*/bin/erl_call"), *root.glob("lib/erl_interface-*/bin/erl_call")]
    if not calls:
        raise SystemExit(f"there is no erl_call below {root}; the fixtures need it to make vhosts")
    return {
        "url": url,
        "erl_call": [str(calls[0]), "-sname", node.env["RABBITMQ_NODENAME"], "-e"],
        "env": {key: value for key, value in node.env.items() if key == "HOME" or key.startswith("ERL_")},
    }


def _write(file: Path, data: dict[str, object]) -> None:
    temporary = file.with_suffix(".new")
    temporary.touch(0o600)
    temporary.write_text(json.dumps(data))
    temporary.rename(file)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
