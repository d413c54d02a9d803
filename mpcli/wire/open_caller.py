"""Many calls and sends over one open connection: for the shell, for a batch, for whatever asks more than once.

    caller = OpenCaller(urls)                         # connects with the first call, in the same write
    caller.call(name, args, kwargs, timeout=10)       # blocks; raises what mpcli.wire.call.call raises
    caller.send(name, args, kwargs)                   # blocks until the broker has it; the id
    ongoing = caller.begin(name, args, kwargs, timeout=10, then=queue.put)
    ongoing.result(); ongoing.cancel(); ongoing.done  # from any thread
    caller.give_up([ongoing])                         # after Ctrl-C: revoked where it can be; what became of it
    ongoing = caller.post(name, message)              # a message of your own (mpcli.wire.celery_message), confirmed
    caller.close()

Thread-safe: a thread of its own reads, writes, answers heartbeats and minds the deadlines; the others hand over and
wait on an event, which Ctrl-C interrupts, and the other calls go on. Why a call was not answered, or came back, is
found out in another one. `then` is called once, when the call is done, in one of these threads (or in the one that
cancels): it must be quick, such as `queue.put`.

When the connection breaks, what was under way fails with `BrokerUnreachable` and says that it may have run; what was
not yet written, and the next call, connect again. Nothing is sent twice.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerUnreachable, Interrupted, MpError
from mpcli.wire import aside
from mpcli.wire.celery_message import TaskMessage, async_message, sync_message
from mpcli.wire.explainer import Explainer
from mpcli.wire.lanes import REPLY_TO
from mpcli.wire.line import NEVER, Line
from mpcli.wire.ongoing import Ongoing, Then

CONFIRM_WAIT = 10.0
# Seconds at most that closing takes while there is no connection.
_AT_THE_DOOR = 0.3


class OpenCaller:
    """Calls tasks of the broker at `urls`; `name` is shown in its list of connections. `heartbeat` is in seconds.

    With `reconnects` False all that comes after a break fails with its reason.
    """

    def __init__(self, urls: str, name: str = "mp", heartbeat: int = 30, reconnects: bool = True) -> None:
        self._explainer = Explainer(urls, name)
        self._line = Line(urls, name, heartbeat, reconnects, self._explainer.explain)  # the thread's alone
        # Shared by all threads, under the lock: what is handed over, and whether the pipe was written to.
        self._lock = threading.Lock()
        self._inbox: deque[Ongoing] = deque()
        self._awake = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()

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
        return self.ask(name, message, timeout=timeout, look=look, then=then)

    def ask(
        self, name: TaskName, message: TaskMessage, *, timeout: float, look: bool = False, then: Then | None = None
    ) -> Ongoing:
        """As `begin`, with a message that was made with `REPLY_TO`, whose id is known before it is sent."""
        return self._hand_over(Ongoing(name, message, timeout, replies=True, looks=look, then=then))

    def post(
        self, name: TaskName, message: TaskMessage, *, timeout: float = CONFIRM_WAIT, then: Then | None = None
    ) -> Ongoing:
        """Publish a message to the service and do not wait; its value is its id, once the broker confirms.

        Raises `BrokerUnreachable` once the caller is closed.
        """
        return self._hand_over(Ongoing(name, message, timeout, replies=False, looks=False, then=then))

    def give_up(self, ongoings: Iterable[Ongoing]) -> dict[str, Interrupted]:
        """Cancel these, as after Ctrl-C, and revoke what no worker has begun; what to tell of each, by id.

        One that comes to its end meanwhile is not among them. Takes some three seconds at most for each task name.
        """
        return self._explainer.give_up(ongoings)

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
            # While it waits at the door of a silent broker there is nobody to say goodbye to.
            thread.join(timeout if self._line.connection is not None else min(timeout, _AT_THE_DOOR))

    def _hand_over(self, ongoing: Ongoing) -> Ongoing:
        ongoing.on_cancel = self._note_cancel
        with self._lock:
            if self._closing:
                raise BrokerUnreachable(f"{ongoing.name} is not sent: this connection was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mp open caller", daemon=True)
                aside.start(self._thread)
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
                self._line.lose(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
                self._line.lose(BrokerUnreachable(f"the connection was given up: {type(error).__name__}: {error}"))
        self._take_over()
        with suppress(MpError):
            self._line.close()
        self._explainer.close()
        self._close_pipe()

    def _turn(self) -> None:
        """First read, so that a connection that ended is noticed before anything is written to it."""
        if self._wait():
            self._line.read()
        self._take_over()
        self._line.write()
        if monotonic() >= self._line.due:
            self._line.expire()

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether the connection has something to read."""
        if self._inbox or self._line.hurried:
            return True  # the byte that told of the inbox may be read already, in a turn that a break cut short
        connection = self._line.connection
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        longest = NEVER
        if connection is not None:
            poll.register(connection.fileno(), select.POLLIN)
            longest = connection.heartbeat / 4 or NEVER
        left = min(longest, max(self._line.due - monotonic(), 0.0))
        ready = {descriptor for descriptor, _ in poll.poll(None if left == NEVER else left * 1000 + 1)}
        if self._wake_read in ready:
            with self._lock:
                self._awake = False
                os.read(self._wake_read, 16)
        return connection is not None and connection.fileno() in ready

    def _take_over(self) -> None:
        while self._inbox:
            self._line.accept(self._inbox.popleft())

    def _close_pipe(self) -> None:
        with self._lock:  # who wakes holds it: not a byte may go to a number that is another file's by now
            for descriptor in (self._wake_read, self._wake_write):
                with suppress(OSError):
                    os.close(descriptor)
