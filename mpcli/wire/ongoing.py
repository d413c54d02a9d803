"""A call or a send that is under way: what the one who waits for it holds in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError, NoReply
from mpcli.wire.celery_message import TaskMessage

# Beyond the deadline: time to ask broker and workers why there was no answer.
_GRACE = 10.0

Then = Callable[["Ongoing"], None]


class Ongoing:
    """One task on its way over an `OpenCaller`. Any thread may look, wait and cancel.

    `id` is the task's; `deadline` is on the clock of `time.monotonic`, `timeout` the seconds that it was given. Once
    `done` there is either an `error` or a `value`: what the task returned, or for a send its id. `unheard` tells that
    no worker listens on the queue. `began` and `ended` are on the same clock.
    """

    __slots__ = (
        "_lock",
        "_stirred",
        "_then",
        "began",
        "cancelled",
        "deadline",
        "done",
        "ended",
        "error",
        "id",
        "looks",
        "message",
        "name",
        "on_cancel",
        "replies",
        "sent",
        "timeout",
        "unheard",
        "value",
    )

    def __init__(
        self, name: TaskName, message: TaskMessage, timeout: float, *, replies: bool, looks: bool, then: Then | None
    ) -> None:
        self.name = name
        self.id = message.id
        # Until it is written to the socket; then nobody needs its body any more.
        self.message: TaskMessage | None = message
        self.timeout = timeout
        self.replies = replies
        self.looks = looks
        self.began = monotonic()
        self.deadline = self.began + timeout
        self.ended = 0.0
        self.sent = False
        self.unheard = False
        self.done = False
        self.cancelled = False
        self.value: object = None
        self.error: MpError | None = None
        self.on_cancel: Then | None = None
        self._then = then
        self._lock = threading.Lock()
        self._stirred = threading.Event()

    def result(self, nobody: Callable[[], None] | None = None) -> object:
        """Wait for the value. Raises the error that it came to; Ctrl-C and other signals break the wait, not the call.

        `nobody` is called, in this thread, when no worker listens; it may raise to give up, which cancels.
        """
        while not self.done:
            left = self.deadline + _GRACE - monotonic()
            if not self._stirred.wait(max(left, 0.0)) and not self.done:
                self.finish(error=self._stalled())
            self._stirred.clear()
            if self.unheard and not self.done and nobody is not None:
                told, nobody = nobody, None
                self._tell(told)
        if self.error is not None:
            raise self.error
        return self.value

    def _tell(self, nobody: Callable[[], None]) -> None:
        try:
            nobody()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> bool:
        """Wait for it no more; a reply that comes is dropped. False when it was done already.

        What was not yet written is not sent. A call that no worker has begun expires with its timeout; one that has
        begun runs on; a send may or may not have arrived.
        """
        self.cancelled = not self.done
        if not self.finish(error=NoReply(f"{self.name} was cancelled", "a task that has begun runs on")):
            return False
        if self.on_cancel is not None:
            self.on_cancel(self)
        return True

    def hand_out(self) -> TaskMessage | None:
        """The message, which counts as sent from now on; None when it is not wanted any more."""
        with self._lock:
            self.sent = self.message is not None
            return self.message

    def finish(self, value: object = None, error: MpError | None = None) -> bool:
        """Settle it, the first time it is called; only then True."""
        with self._lock:
            if self.done:
                return False
            self.value, self.error, self.ended = value, error, monotonic()
            self.message = None
            self.done = True
        self._stirred.set()
        if self._then is not None:
            with suppress(Exception):  # the mistake of one who waits must not end the thread that serves them all
                self._then(self)
        return True

    def nobody_listens(self) -> None:
        """Note it, and wake whoever waits."""
        self.unheard = True
        self._stirred.set()

    def _stalled(self) -> NoReply:
        return NoReply(f"no reply from {self.name} in {self.timeout:g} s: the connection to the broker stalls")
