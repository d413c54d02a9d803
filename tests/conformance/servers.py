"""The two brokers as a suite of others expects one: a user guest with the password guest, and the vhost `/`."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD = Path(__file__).parent.parent / "contract" / "rabbitmq_guard.py"
WITH_GUEST = """
rabbit_auth_backend_internal:add_user(<<"guest">>, <<"guest">>, <<"mp">>),
rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"mp">>).
"""


@contextmanager
def embedded() -> Iterator[int]:
    """An embedded broker in this process; its port."""
    from mpcli.brokers.embedded import DevBroker

    with DevBroker(user="guest", password="guest") as broker:
        yield broker.port


@contextmanager
def rabbitmq() -> Iterator[int]:
    """A private RabbitMQ node; its port."""
    with tempfile.TemporaryDirectory(prefix="mp-conformance-node-") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        with (folder / "lock").open("wb") as lock, (folder / "guard.log").open("wb") as log:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # the guard ends its node when this process ends, however it does
            guard = subprocess.Popen(
                [sys.executable, str(GUARD), name, str(port), lock.name], stdout=log, stderr=subprocess.STDOUT
            )
            try:
                _add_guest(_description(folder, guard))
                yield port
            finally:
                guard.terminate()
                guard.wait(40)


def _description(folder: Path, guard: subprocess.Popen[bytes]) -> dict[str, object]:
    deadline = time.monotonic() + 100
    while not (folder / "node.json").exists():
        if guard.poll() is not None or time.monotonic() > deadline:
            log = (folder / "guard.log").read_text(errors="replace")
            raise SystemExit(f"the RabbitMQ node did not start:\n{log}")
        time.sleep(0.05)
    return json.loads((folder / "node.json").read_text())


def _add_guest(node: dict[str, object]) -> None:
    done = subprocess.run(
        node["erl_call"], input=WITH_GUEST, env=node["env"], capture_output=True, text=True, timeout=30, check=True
    )
    if not done.stdout.startswith("{ok,"):
        raise SystemExit(f"the user guest could not be made: {done.stdout}")
