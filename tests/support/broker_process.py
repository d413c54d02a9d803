"""A broker that is a process of its own, as `mp up` would start it, to be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ports import free_port

from mpcli.brokers.choose import provider
from mpcli.bus.naming import Mode
from mpcli.platform.processes import AmqpPort, ProcessSpec, TcpPort

_DEADLINE = 100.0  # seconds; a RabbitMQ node on a busy machine


class BrokerProcess:
    """One broker of this kind, with its data in `folder`; `env` is added to its environment."""

    def __init__(self, kind: str, folder: Path, env: Mapping[str, str]) -> None:
        plan = provider(kind).plan(folder, {Mode.SYNC: free_port()})
        self.url = plan.urls[Mode.SYNC]
        *self._before, self._spec = plan.processes  # RabbitMQ's port mapper comes first
        self._env = env
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> BrokerProcess:
        try:
            for spec in self._before:
                self._start(spec)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        while self._running:
            self.kill()

    def start(self) -> None:
        """Start it, at the same port each time, and wait until it answers."""
        self._start(self._spec)

    def kill(self) -> None:
        """End it as the kernel would, short of memory: nothing of it is asked, or can tidy up."""
        process = self._running.pop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_DEADLINE)

    def _start(self, spec: ProcessSpec) -> None:
        process = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env={**os.environ, **spec.env, **self._env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append(process)
        deadline = time.monotonic() + _DEADLINE
        while not _answers(spec):
            assert process.poll() is None, f"{spec.name} ended while starting: {process.returncode}"
            assert time.monotonic() < deadline, f"{spec.name} does not answer"
            time.sleep(0.05)


def _answers(spec: ProcessSpec) -> bool:
    assert isinstance(spec.ready, AmqpPort | TcpPort)
    try:
        socket.create_connection((spec.ready.host, spec.ready.port), 1).close()
    except OSError:
        return False
    return True
