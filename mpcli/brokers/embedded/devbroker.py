"""A broker inside the calling process, for tests: `with DevBroker() as broker: connect(broker.url)`."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

from mpcli.brokers.embedded.broker import Broker
from mpcli.brokers.embedded.limits import Limits
from mpcli.brokers.embedded.server import DEFAULT_PASSWORD, DEFAULT_USER, Server, serve
from mpcli.errors import BrokerUnavailable
from mpcli.wire import aside

T = TypeVar("T")
_PATIENCE = 60.0  # seconds; a machine may be busy


@dataclass(frozen=True, slots=True)
class _Running:
    """A server, its loop and the thread in which it runs."""

    server: Server
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    stop: asyncio.Event


class DevBroker:
    """A broker in a thread of its own. Its methods may be called from any other thread.

    Port 0 (the default) is a free port, kept over `restart`. Without `data`, durable things live in a temporary
    folder: they survive a `restart` and are gone after `stop`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        data: Path | None = None,
        user: str = DEFAULT_USER,
        password: str = DEFAULT_PASSWORD,
        limits: Limits | None = None,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.user = user
        self.password = password
        self._limits = limits
        self._data = data
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._running: _Running | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> DevBroker:
        """Start listening. Raises `BrokerUnavailable`."""
        if self._data is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="mp-broker-")
            self._data = Path(self._temporary.name)
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def stop(self) -> None:
        """Close all connections and let go of everything. Raises `BrokerUnavailable` if not all could be kept."""
        try:
            self._stop()
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = self._data = None

    def restart(self) -> None:
        """Stop and start on the same port: what is durable is there again, what is transient is not."""
        self._stop()
        self._start()

    def __enter__(self) -> DevBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        started = threading.Event()
        outcome: list[_Running | BaseException] = []

        def run() -> None:
            asyncio.run(self._serve(outcome, started))

        thread = threading.Thread(target=run, name="mp-broker", daemon=True)
        aside.start(thread)
        if not started.wait(_PATIENCE):
            raise BrokerUnavailable(f"the broker did not start within {_PATIENCE:g} s")
        first = outcome[0]
        if isinstance(first, BaseException):
            thread.join(_PATIENCE)
            raise first
        self._running = first
        self.port = first.server.port

    async def _serve(self, outcome: list[_Running | BaseException], started: threading.Event) -> None:
        try:
            server = await serve(
                self.host, self.port, data=self._data, user=self.user, password=self.password, limits=self._limits
            )
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that called start
            outcome.append(error)
            started.set()
            return
        stop = asyncio.Event()
        outcome.append(_Running(server, asyncio.get_running_loop(), threading.current_thread(), stop))
        started.set()
        await stop.wait()
        await server.close()

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.loop.call_soon_threadsafe(running.stop.set)
            running.thread.join(_PATIENCE)
            if running.server.broker.failure is not None:
                raise running.server.broker.failure

    def _ask(self, question: Callable[[Broker], T]) -> T:
        """Ask the broker in its own thread."""
        running = self._running
        if running is None:
            raise BrokerUnavailable("the broker does not run", "call start(), or use `with DevBroker() as broker`")

        async def ask() -> T:
            answer = question(running.server.broker)
            running.server.broker.flush()
            return answer

        return asyncio.run_coroutine_threadsafe(ask(), running.loop).result(_PATIENCE)

    # -- what tests ask for ----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Of the virtual host `/`."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Of any virtual host."""
        return f"amqp://{self.user}:{self.password}@{self.host}:{self.port}/{quote(vhost, safe='')}"

    def add_vhost(self, name: str) -> str:
        """Make a virtual host if it is not there. Returns its URL."""
        self._ask(lambda broker: broker.add_vhost(name) and None)
        return self.url_of(name)

    def delete_vhost(self, name: str) -> None:
        """Close its connections and forget all in it."""
        self._ask(lambda broker: broker.delete_vhost(name))

    def queues(self, vhost: str = "/") -> dict[str, int]:
        """How many messages each queue of a virtual host holds, those out for delivery included."""
        return self._ask(lambda broker: broker.held(vhost))

    def close_connections(self, vhost: str | None = None) -> None:
        """Close the connections of one virtual host, or all, as an operator would (320)."""

        def close(broker: Broker) -> None:
            for connection in list(broker.connections):
                if vhost is None or (connection.vhost is not None and connection.vhost.name == vhost):
                    connection.force_close("closed by the operator")

        self._ask(close)
