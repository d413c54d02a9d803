"""One broker in the foreground: for `mp broker run` and `python -m mpcli.brokers.embedded`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpcli.brokers.embedded.limits import MIB, Limits, raise_open_files
from mpcli.brokers.embedded.server import DEFAULT_PASSWORD, DEFAULT_USER, serve

# The password is better in the environment than in the arguments, which every user of the machine can list.
PASSWORD_VARIABLE = "MP_BROKER_PASSWORD"  # noqa: S105 - the name of a variable


def password_from_environment() -> str:
    """What the variable says, else the default."""
    return os.environ.get(PASSWORD_VARIABLE, DEFAULT_PASSWORD)


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen and what to keep. Port 0 is any free one, `memory` is in MiB, without `data` nothing survives."""

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    user: str = DEFAULT_USER
    password: str = DEFAULT_PASSWORD
    memory: int = Limits().memory // MIB
    vhosts: Sequence[str] = ()


def run(options: Options, ready: Callable[[str], None], note: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    `ready` is told the address when clients can connect, `note` what the owner should read before. Raises
    `BrokerUnavailable` when the broker cannot start or can no longer keep what it was given.
    """
    raise_open_files()
    asyncio.run(_serve(options, ready, note))


async def _serve(options: Options, ready: Callable[[str], None], note: Callable[[str], None]) -> None:
    server = await serve(
        options.host,
        options.port,
        data=options.data,
        user=options.user,
        password=options.password,
        limits=Limits(memory=options.memory * MIB),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for vhost in options.vhosts:
        server.broker.add_vhost(vhost)
    for text in server.broker.notes:
        note(text)
    # What is there now stays: no collection need look at it again, and none makes a call wait for that.
    gc.freeze()
    ready(f"{options.host}:{server.port}")
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, server.broker.failed)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await server.close()
    if server.broker.failure is not None:
        raise server.broker.failure
