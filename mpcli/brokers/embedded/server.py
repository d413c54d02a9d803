"""Listening, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from mpcli.brokers.embedded.broker import Broker
from mpcli.brokers.embedded.connection import Connection
from mpcli.brokers.embedded.limits import Limits
from mpcli.errors import BrokerUnavailable

LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEFAULT_USER = DEFAULT_PASSWORD = "guest"  # noqa: S105 - RabbitMQ's own default, and good on loopback only


class Server:
    """A broker and the socket on which it listens."""

    def __init__(self, broker: Broker, listener: asyncio.Server) -> None:
        self.broker = broker
        self._listener = listener

    @property
    def port(self) -> int:
        """The port, also when the system chose it."""
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self, patience: float = 0.5) -> None:
        """Tell the clients, wait `patience` seconds for them to close, commit, and let go of everything."""
        self._listener.close()
        broker = self.broker
        for connection in list(broker.connections):
            connection.force_close("broker forced connection closure with reason 'shutdown'")
        broker.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await broker.nobody.wait()
        for connection in list(broker.connections):
            connection.abort()
        await broker.nobody.wait()
        broker.close()


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    data: Path | None = None,
    user: str = DEFAULT_USER,
    password: str = DEFAULT_PASSWORD,
    limits: Limits | None = None,
) -> Server:
    """Start a broker. Port 0 lets the system choose one.

    Raises `BrokerUnavailable` when the address is taken, the folder cannot be used, or a host other than loopback
    is asked for with the default password.
    """
    if host not in LOOPBACK and password in ("", DEFAULT_PASSWORD):
        which = "the default one" if password else "empty"
        raise BrokerUnavailable(
            f"{host} can be reached from other machines and the password is {which}",
            "set MP_BROKER_PASSWORD, or listen on 127.0.0.1",
        )
    broker = Broker({user: password}, limits or Limits(), data)
    try:
        listener = await asyncio.get_running_loop().create_server(lambda: Connection(broker), host, port, backlog=512)
    except OSError as error:
        broker.close()
        # asyncio's own text repeats the address; getaddrinfo's numbers, which are negative, are not the system's.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise BrokerUnavailable(
            f"cannot listen on {host}:{port}: {reason}", "choose another address or port; 0 is any free port"
        ) from error
    return Server(broker, listener)
