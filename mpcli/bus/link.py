"""One connection to one broker for a whole process: a thread that owns the socket, one exclusive reply queue, a future
for each message.

Threads and event loops hand their messages over and wait on futures; nobody but the link's own thread touches the
connection, because py-amqp and TLS sockets are not made for two. Each exchange gets a channel of its own, so that the
broker's closing of one (an exchange that does not exist) fails the messages to that exchange and no others.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from ssl import SSLSocket
from struct import error as StructError
from typing import Any

from amqp.exceptions import AMQPError, ChannelError

from mpcli.bus.connecting import CONNECT_TIMEOUT, HEARTBEAT, broker_error, connect, publish_error, return_error
from mpcli.bus.inbox import Command, Inbox
from mpcli.bus.messages import is_final
from mpcli.bus.outlet import Outgoing, Outlet
from mpcli.bus.urls import address
from mpcli.errors import BrokerUnreachable, MpError

_BROKEN = (AMQPError, OSError, StructError, ValueError, IndexError, AttributeError)
_TICK = HEARTBEAT / 4


class Link:
    """The connection of this process to the broker at `url`, opened when it is first used and again when it broke."""

    def __init__(self, url: str, name: str = "mpcli", reply_prefix: str = "mpcli.reply") -> None:
        self.url = url
        self.pid = os.getpid()
        self.blocked = False
        self._name = name
        self._reply_prefix = reply_prefix
        self._connection: Any = None
        self._reply_queue = ""
        self._outlets: dict[str, Outlet] = {}
        self._waiting: dict[str, Outgoing] = {}
        self._inbox = Inbox()
        self._io = threading.Lock()  # of the connection and everything about it; its thread lets go while it waits
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._run, name=f"mpcli link {address(url)}", daemon=True)
        self._thread.start()

    @property
    def usable(self) -> bool:
        """Whether this process made it and has not closed it."""
        return self.pid == os.getpid() and not self._inbox.closed

    # -- for every thread ------------------------------------------------------------------------------------------

    def submit(self, outgoing: Outgoing, directly: bool = False) -> None:
        """Send the message; never waits. Raises `BrokerUnreachable` when the link was closed.

        `directly` lets the calling thread write to the socket when that is free, which spares a change of threads.
        """
        if not (directly and self._send_now(outgoing)):
            self._enqueue(outgoing)

    def _send_now(self, outgoing: Outgoing) -> bool:
        if not self._io.acquire(blocking=False):
            return False
        try:
            if self._inbox.closed or outgoing.exchange not in self._outlets or not self._writable():
                return False
            outgoing.future.set_running_or_notify_cancel()
            self._publish_or_break(outgoing)
            return True
        finally:
            self._io.release()

    def _publish_or_break(self, outgoing: Outgoing) -> None:
        """In the caller's thread. A signal's exception (Ctrl-C, a soft time limit) may leave half a frame on the wire:
        then the socket must end, which the link's own thread notices."""
        try:
            self._publish(outgoing)
        except BaseException as error:
            outgoing.fail(self._lost(error))
            with contextlib.suppress(*_BROKEN):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
            if not isinstance(error, _BROKEN):
                raise

    def _writable(self) -> bool:
        """Whether a write would not block. Not when there is something to read: it may be the end. And not on TLS."""
        sock = self._connection.sock
        if isinstance(sock, SSLSocket):
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN | select.POLLOUT)
        return [events for _, events in poll.poll(0)] == [select.POLLOUT]

    def run(self, action: Callable[[Any], object]) -> Future[Any]:
        """Let the link's thread do `action(connection)`, which should take milliseconds."""
        command = Command(action)
        self._enqueue(command)
        return command.future

    def forget(self, outgoing: Outgoing) -> None:
        """Nobody waits for the reply any more; if it was not sent yet, it will not be."""
        outgoing.future.cancel()
        self._waiting.pop(outgoing.task_id, None)

    def close(self, timeout: float = 2.0) -> None:
        """Close the connection; what still waits fails. Waits `timeout` seconds at most."""
        self._inbox.close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent, without a word on the wire."""
        connection, self._connection = self._connection, None
        transport = getattr(connection, "_transport", None)
        if transport is not None and transport.sock is not None:
            # Closing our copy of the descriptor; `shutdown`, which py-amqp's own close does, would end the parent's.
            transport.sock.close()
            transport.sock = None
            transport.connected = False
        self._inbox.abandon()

    def _enqueue(self, item: Outgoing | Command) -> None:
        if not self._inbox.put(item):
            raise BrokerUnreachable(f"the connection to {address(self.url)} was closed by this process")

    # -- the link's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._inbox.closed:
                try:
                    self._turn()
                except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
                    with self._io:
                        self._lose(error)
        finally:
            with self._io:
                self._end()

    def _turn(self) -> None:
        """Wait for the socket or for work; then first read, so that a connection that ended is noticed before
        anything is written to it."""
        ready = self._wait()
        with self._io:
            self._work(ready)

    def _work(self, ready: set[int]) -> None:
        if self._connection is not None and self._connection.sock.fileno() in ready:
            self._read()
        if self._inbox.descriptor in ready:
            self._inbox.woken()
        while not self._inbox.closed and (item := self._inbox.take()) is not None:
            self._handle(item)
        if self._connection is not None and time.monotonic() > self._next_tick:
            self._next_tick = time.monotonic() + _TICK
            self._connection.heartbeat_tick()

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._inbox.descriptor, select.POLLIN)
        if self._connection is None:
            return {descriptor for descriptor, _ in poll.poll()}
        poll.register(self._connection.sock.fileno(), select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll(_TICK * 1000)}

    def _read(self) -> None:
        connection = self._connection
        connection.blocking_read()
        pending = getattr(connection.sock, "pending", None)  # TLS: bytes that were read and that poll does not see
        while pending is not None and connection.connected and pending():
            connection.blocking_read()
        if not connection.connected:
            raise OSError("the broker closed the connection")

    def _handle(self, item: Outgoing | Command) -> None:
        if not item.future.set_running_or_notify_cancel():
            return
        try:
            if self._connection is None:
                self._open()
            if isinstance(item, Command):
                item.future.set_result(item.action(self._connection))
            else:
                self._publish(item)
        except MpError as error:
            item.fail(error)
        except ChannelError as error:  # of a command, on a channel of its own: the connection is well
            item.fail(error)
        except Exception as error:
            item.fail(self._lost(error))
            raise

    def _publish(self, outgoing: Outgoing) -> None:
        remaining = outgoing.deadline - time.monotonic()
        if remaining <= 0:
            return
        outlet = self._outlets.get(outgoing.exchange) or self._open_outlet(outgoing.exchange)
        if outgoing.reply:
            self._waiting[outgoing.task_id] = outgoing
            outgoing.properties["reply_to"] = self._reply_queue
        if outgoing.expires:
            outgoing.properties["expiration"] = str(max(1, int(remaining * 1000)))
        outlet.publish(outgoing)

    def _open(self) -> None:
        connection = connect(self.url, CONNECT_TIMEOUT, self._name)
        try:
            connection.on_blocked, connection.on_unblocked = self._on_blocked, self._on_unblocked
            self.blocked = False
            channel = connection.channel()
            # A new name each time: after a break the old queue may live on until the broker notices.
            queue = f"{self._reply_prefix}.{os.getpid()}.{uuid.uuid4().hex[:12]}"
            channel.queue_declare(queue, durable=False, exclusive=True, auto_delete=True)
            channel.basic_consume(queue, no_ack=True, callback=self._on_reply, on_cancel=self._on_cancel)
        except _BROKEN as error:
            connection.collect()
            raise broker_error(error, address(self.url), "a reply queue") from error
        channel.on_closed = self._on_cancel
        self._connection, self._reply_queue = connection, queue

    def _open_outlet(self, exchange: str) -> Outlet:
        outlet = Outlet(self._connection, exchange)
        outlet.channel.events["basic_return"].add(self._on_return)
        outlet.channel.on_closed = lambda error: self._on_outlet_closed(outlet, error)
        self._outlets[exchange] = outlet
        return outlet

    def _on_reply(self, message: Any) -> None:
        outgoing = self._waiting.get(message.properties.get("correlation_id", ""))
        if outgoing is not None and is_final(message.body):
            self._waiting.pop(outgoing.task_id, None)
            outgoing.succeed((message.properties.get("content_type", ""), message.body))

    def _on_return(self, _error: object, exchange: str, _key: str, message: Any) -> None:
        task_id = message.properties.get("correlation_id", "")
        outlet = self._outlets.get(exchange)
        outgoing = self._waiting.pop(task_id, None)
        for one in outlet.unconfirmed.values() if outlet is not None else ():
            if one.task_id == task_id:
                outgoing = one
        if outgoing is not None:
            outgoing.fail(return_error(outgoing.name, exchange))

    def _on_outlet_closed(self, outlet: Outlet, error: Any) -> None:
        self._outlets.pop(outlet.exchange, None)
        for outgoing in outlet.unconfirmed.values():
            self._waiting.pop(outgoing.task_id, None)
            outgoing.fail(publish_error(error, outgoing.exchange, address(self.url)))
        outlet.unconfirmed.clear()

    def _on_cancel(self, _what: object) -> None:
        raise OSError("the broker took the reply queue away")

    def _on_blocked(self, _reason: str) -> None:
        self.blocked = True

    def _on_unblocked(self) -> None:
        self.blocked = False

    def _lost(self, error: BaseException) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"the connection to the broker at {address(self.url)} broke: {error or type(error).__name__}",
            "whether the task ran is not known",
        )

    def _lose(self, error: BaseException) -> None:
        """The connection is gone, and with it the reply queue: nobody's reply will come any more."""
        connection, self._connection = self._connection, None
        lost = [outgoing for outlet in self._outlets.values() for outgoing in outlet.unconfirmed.values()]
        self._outlets = {}
        with contextlib.suppress(*_BROKEN):
            connection.collect()
        # Another thread may take itself off the list meanwhile.
        for outgoing in [*lost, *list(self._waiting.values())]:
            outgoing.fail(self._lost(error))
        self._waiting.clear()

    def _end(self) -> None:
        connection = self._connection
        self._inbox.close()
        if connection is not None:
            self._connection = None
            with contextlib.suppress(*_BROKEN):
                connection.close()
        self._lose(OSError("this process closed it"))
        self._inbox.end(lambda: self._lost(OSError("this process closed it")))
