"""The embedded broker as a provider: two processes of this very Python, nothing to install."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from mpcli.brokers.provider import BrokerPlan
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable
from mpcli.platform.processes import AmqpPort, ProcessSpec

_HOST = "127.0.0.1"
_USER = "mp"
_PASSWORD_FILE = "password"  # noqa: S105 - the name of a file


class EmbeddedProvider:
    """Runs one embedded broker for each mode, on loopback, with its data below the given folder.

    Each platform has a password of its own, in a file that only its owner can read: loopback is shared by all users
    of a machine, and whoever reaches a broker can make its workers run tasks.
    """

    def plan(self, folder: Path, ports: dict[Mode, int]) -> BrokerPlan:
        """The two processes `broker.sync` and `broker.async`. Raises `BrokerUnavailable` for an unusable folder."""
        password = _password(folder)
        return BrokerPlan(
            processes=[_process(folder, mode, port, password) for mode, port in ports.items()],
            urls={mode: f"amqp://{_USER}:{password}@{_HOST}:{port}/%2F" for mode, port in ports.items()},
        )


def _process(folder: Path, mode: Mode, port: int, password: str) -> ProcessSpec:
    arguments = ("--host", _HOST, "--port", str(port), "--data", str(folder / mode), "--user", _USER)
    return ProcessSpec(
        name=f"broker.{mode}",
        argv=(sys.executable, "-m", "mpcli.brokers.embedded", *arguments),
        cwd=folder,
        env={"MP_BROKER_PASSWORD": password},
        ready=AmqpPort(_HOST, port),
        stage=0,
    )


def _password(folder: Path) -> str:
    """The platform's password, made at the first start."""
    file = folder / _PASSWORD_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            kept = file.read_text(encoding="ascii").strip()
            if kept:
                return kept
            descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
        password = secrets.token_urlsafe(24)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(password)
    except OSError as error:
        raise BrokerUnavailable(
            f"{error.filename or folder}: {error.strerror}", "use a folder you can write"
        ) from error
    return password
