"""Many calls and sends over one open connection: for the shell, for a batch, for whatever asks more than once.

    caller = OpenCaller(urls)                         # connects with the first call, in the same write
    caller.call(name, args, kwargs, timeout=10)       # blocks; raises what mpcli.wire.call.call raises
    caller.send(name, args, kwargs)                   # blocks until the broker has it; the id
    ongoing = caller.begin(name, args, kwargs, timeout=10, then=queue.put)
    ongoing.result(); ongoing.cancel(); ongoing.done  # from any thread
    ongoing = caller.post(name, message)              # a message of your own (mpcli.wire.celery_message), confirmed
    caller.close()

Thread-safe: a thread of its own reads, writes, answers heartbeats and minds the deadlines; the others hand over and
wait on an event, which Ctrl-C interrupts, and the other calls go on. `then` is called once, when the call is done, in
that thread (or in the one that cancels): it must be quick, such as `queue.put`.

When the connection breaks, what was under way fails with `BrokerUnreachable` and says that it may have run; what was
not yet written, and the next call, connect again. Nothing is sent twice.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerUnreachable, MpError
from mpcli.wire.celery_message import TaskMessage, async_message, sync_message
from mpcli.wire.connection import Connection, Incoming
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
from mpcli.wire.lanes import REPLY_TO, Lanes
from mpcli.wire.looks import Look, Looks
from mpcli.wire.methods import CONNECTION_CLOSE
from mpcli.wire.ongoing import Ongoing, Then
from mpcli.wire.refusal import connection_refusal
from mpcli.wire.verdict import held_back, unanswered, unconfirmed, unexplained

CONFIRM_WAIT = 10.0
_DIAGNOSIS_WAIT = 1.0
_CHANNELS = 1023  # RabbitMQ allows 2047 unless told otherwise; one of less is taken at its word
_NEVER = float("inf")


class OpenCaller:
    """Calls tasks of the broker at `urls`; `name` is shown in its list of connections. `heartbeat` is in seconds."""

    def __init__(self, urls: str, name: str = "mp", heartbeat: int = 30) -> None:
        self.urls = urls
        self._name = name
        self._heartbeat = heartbeat
        # Shared by all threads, under the lock: what is handed over, and whether the pipe was written to.
        self._lock = threading.Lock()
        self._inbox: deque[Ongoing] = deque()
        self._awake = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()
        # The rest belongs to the thread.
        self._connection: Connection | None = None
        self._lanes = Lanes()
        self._looks = Looks(1)
        self._unsent: deque[Ongoing] = deque()
        self._open: dict[str, Ongoing] = {}
        self._explaining: dict[str, float] = {}
        self._due = _NEVER
        self._out: list[bytes] = []

    def __enter__(self) -> OpenCaller:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- for every thread ------------------------------------------------------------------------------------------

    def call(
        self,
        name: TaskName,
        args: list[object],
        kwargs: dict[str, object],
        *,
        timeout: float,
        nobody: Callable[[], None] | None = None,
    ) -> object:
        """Call a sync task and return its result within `timeout` seconds; as `mpcli.wire.call.call`, errors too."""
        ongoing = self.begin(name, args, kwargs, timeout=timeout, look=nobody is not None)
        return self._result(ongoing, nobody)

    def send(self, name: TaskName, args: list[object], kwargs: dict[str, object]) -> str:
        """Publish an async task and return its id once the broker has it safe; as `mpcli.wire.call.send`."""
        return str(self._result(self.post(name, async_message(str(name), args, kwargs)), None))

    def _result(self, ongoing: Ongoing, nobody: Callable[[], None] | None) -> object:
        try:
            return ongoing.result(nobody)
        except BaseException:
            ongoing.cancel()  # Ctrl-C; it does nothing when the call came to an end of its own
            raise

    def begin(
        self,
        name: TaskName,
        args: list[object],
        kwargs: dict[str, object],
        *,
        timeout: float,
        look: bool = False,
        then: Then | None = None,
    ) -> Ongoing:
        """Call a sync task and do not wait. With `look`, `Ongoing.unheard` tells when no worker listens.

        Raises `EncodingFailed`, and `BrokerUnreachable` once the caller is closed.
        """
        message = sync_message(str(name), args, kwargs, REPLY_TO, timeout)
        return self._hand_over(Ongoing(name, message, timeout, replies=True, looks=look, then=then))

    def post(
        self, name: TaskName, message: TaskMessage, *, timeout: float = CONFIRM_WAIT, then: Then | None = None
    ) -> Ongoing:
        """Publish a message to the service and do not wait; its value is its id, once the broker confirms.

        Raises `BrokerUnreachable` once the caller is closed.
        """
        return self._hand_over(Ongoing(name, message, timeout, replies=False, looks=False, then=then))

    def close(self, timeout: float = 2.0) -> None:
        """Hang up; what is under way fails. Waits `timeout` seconds at most."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._wake()
            thread = self._thread
        if thread is None:
            self._close_pipe()
        elif thread is not threading.current_thread():
            thread.join(timeout)

    def _hand_over(self, ongoing: Ongoing) -> Ongoing:
        ongoing.on_cancel = self._note_cancel
        with self._lock:
            if self._closing:
                raise BrokerUnreachable(f"{ongoing.name} is not sent: this connection was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mp open caller", daemon=True)
                self._thread.start()
            self._inbox.append(ongoing)
            self._wake()
        return ongoing

    def _note_cancel(self, ongoing: Ongoing) -> None:
        with self._lock:
            if not self._closing:
                self._inbox.append(ongoing)
                self._wake()

    def _wake(self) -> None:
        if not self._awake and self._thread is not None:
            self._awake = True
            os.write(self._wake_write, b"x")

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except MpError as error:
                self._lose(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
                self._lose(BrokerUnreachable(f"the connection was given up: {type(error).__name__}: {error}"))
        self._end()

    def _turn(self) -> None:
        """First read, so that a connection that ended is noticed before anything is written to it."""
        if self._wait() and self._connection is not None:
            for incoming in self._connection.arrived():
                self._take(incoming)
        self._take_over()
        if self._connection is None and self._unsent:
            self._connect()
        if self._connection is not None:
            self._publish(self._connection)
            self._connection.beat()
        if monotonic() >= self._due:
            self._expire()

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether the connection has something to read."""
        connection = self._connection
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        longest = _NEVER
        if connection is None and self._unsent:
            return False  # there was a connection when they came, and it broke
        if connection is not None:
            if connection.unread:
                return True
            poll.register(connection.fileno(), select.POLLIN)
            longest = connection.heartbeat / 4 or _NEVER
        left = min(longest, max(self._due - monotonic(), 0.0))
        ready = {descriptor for descriptor, _ in poll.poll(None if left == _NEVER else left * 1000 + 1)}
        if self._wake_read in ready:
            with self._lock:
                self._awake = False
                os.read(self._wake_read, 16)
        return connection is not None and connection.fileno() in ready

    def _take_over(self) -> None:
        while self._inbox:
            ongoing = self._inbox.popleft()
            if not ongoing.done:
                self._unsent.append(ongoing)
                self._open[ongoing.id] = ongoing
                self._due = min(self._due, ongoing.deadline)
            elif self._open.pop(ongoing.id, None) is not None:
                self._lanes.forget(ongoing)

    def _connect(self) -> None:
        """Connect, and send what waits in the same write."""
        waiting = [ongoing for ongoing in self._unsent if not ongoing.done]
        self._unsent.clear()
        patience = max((ongoing.deadline for ongoing in waiting), default=0.0) - monotonic()
        if patience <= 0:
            return

        def first(frame_max: int) -> bytes:
            self._lanes, self._looks = Lanes(), Looks(1)
            return b"".join([self._frames(ongoing, frame_max, _CHANNELS) for ongoing in waiting])

        self._connection = connect(
            self.urls,
            timeout=min(patience, CONNECT_TIMEOUT),
            heartbeat=self._heartbeat,
            first=first,
            name=self._name,
            channels=_CHANNELS,
        )
        for ongoing in waiting:
            ongoing.message = None

    def _publish(self, connection: Connection) -> None:
        while self._unsent and not connection.blocked:
            ongoing = self._unsent.popleft()
            if not ongoing.done:
                self._out.append(self._frames(ongoing, connection.frame_max, connection.channel_max))
                ongoing.message = None
        if self._out:
            data, self._out = b"".join(self._out), []
            connection.send(data)

    def _frames(self, ongoing: Ongoing, frame_max: int, channel_max: int) -> bytes:
        message = ongoing.message
        if message is None:
            return b""  # it was cancelled this moment
        try:
            frames = self._lanes.frames(ongoing, message, frame_max, channel_max)
        except MpError as error:
            ongoing.finish(error=error)
            return b""
        ongoing.sent = True
        return frames + (self._looks.ask(ongoing.name.queue, _teller(ongoing)) if ongoing.looks else b"")

    def _take(self, incoming: Incoming) -> None:
        connection = self._connection
        if connection is None:
            return
        if incoming.method is CONNECTION_CLOSE:
            raise connection_refusal(connection.url, int(str(incoming.values[0])), str(incoming.values[1]))
        if incoming.channel == self._looks.channel:
            self._out.append(self._looks.take(connection, incoming))
        for ongoing in self._lanes.take(connection, incoming):
            self._open.pop(ongoing.id, None)

    # -- deadlines and ends ----------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Settle what is due, and find out when the next one is."""
        now = monotonic()
        for ongoing in [one for one in self._open.values() if one.done or one.deadline <= now]:
            explained_by = self._explaining.get(ongoing.id, 0.0)
            if ongoing.done or (explained_by and explained_by <= now):
                ongoing.finish(error=unexplained(ongoing.name, ongoing.timeout, self._silent()))
                self._explaining.pop(ongoing.id, None)
                self._lanes.forget(ongoing)
                del self._open[ongoing.id]
            elif not explained_by:
                self._give_up(ongoing)
        self._due = min(
            (self._explaining.get(ongoing.id, ongoing.deadline) for ongoing in self._open.values()), default=_NEVER
        )

    def _give_up(self, ongoing: Ongoing) -> None:
        """The deadline is over: say why there was no answer, or ask the broker for the reason."""
        connection, name, timeout = self._connection, ongoing.name, ongoing.timeout
        self._lanes.forget(ongoing)
        if ongoing.replies and ongoing.sent and connection is not None and not connection.blocked:
            self._explaining[ongoing.id] = monotonic() + _DIAGNOSIS_WAIT

            def explain(look: Look) -> None:
                ongoing.finish(
                    error=unexplained(name, timeout, look.error)
                    if look.error
                    else unanswered(name, timeout, look.waiting, look.consumers)
                )
                self._explaining.pop(ongoing.id, None)
                self._open.pop(ongoing.id, None)

            if frames := self._looks.ask(name.queue, explain):
                connection.send(frames)
            return
        del self._open[ongoing.id]
        if connection is None:
            ongoing.finish(error=unexplained(name, timeout, self._silent()))
        elif ongoing.replies:
            ongoing.finish(error=held_back(name, timeout, connection.blocked))
        else:
            ongoing.finish(error=unconfirmed(connection.url, name, timeout, connection.blocked))

    def _silent(self) -> BrokerUnreachable:
        address = self._connection.url.address if self._connection else "the broker"
        return BrokerUnreachable(f"the broker at {address} does not answer in time")

    def _lose(self, error: MpError) -> None:
        """The connection is gone, or there was none to be had: what was sent fails, what was not is sent later."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self._lanes, self._looks, self._out = Lanes(), Looks(1), []
        kept = {ongoing.id for ongoing in self._unsent}
        for ongoing in list(self._open.values()):
            if ongoing.id not in kept:
                ongoing.finish(error=_lost(error, ongoing, connected=connection is not None))
                del self._open[ongoing.id]
        self._explaining.clear()

    def _end(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(MpError):
                connection.close()
        self._take_over()
        self._unsent.clear()
        self._lose(BrokerUnreachable("the connection was closed by this program"))
        self._close_pipe()

    def _close_pipe(self) -> None:
        for descriptor in (self._wake_read, self._wake_write):
            with suppress(OSError):
                os.close(descriptor)


def _teller(ongoing: Ongoing) -> Callable[[Look], None]:
    def tell(look: Look) -> None:
        if not look.error and not look.consumers:
            ongoing.nobody_listens()

    return tell


def _lost(error: MpError, ongoing: Ongoing, connected: bool) -> MpError:
    """The error for one of those that were under way: each gets its own, for each is raised in a thread of its own."""
    own = copy(error)
    if connected and ongoing.sent:
        own.hint = (
            f"whether {ongoing.name} ran is not known"
            if ongoing.replies
            else "the broker may or may not have the message: look before you send it again"
        )
    return own
