"""What other threads want of a link's thread, and how that is woken."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mpcli.bus.outlet import Outgoing


class Command:
    """Something else than a message: the future gets what `action(connection)` returns or raises."""

    __slots__ = ("action", "future")

    def __init__(self, action: Callable[[Any], object]) -> None:
        self.action = action
        self.future: Future[Any] = Future()

    def fail(self, error: BaseException) -> None:
        """Unless it is over already."""
        if not self.future.done():
            self.future.set_exception(error)


class Inbox:
    """A queue with a pipe, so that its reader can wait for it and for a socket at once. `closed` takes nothing more."""

    __slots__ = ("_awake", "_items", "_lock", "_write", "closed", "descriptor")

    def __init__(self) -> None:
        self.closed = False
        self._items: deque[Outgoing | Command] = deque()
        self._lock = threading.Lock()
        self._awake = False
        # What the reader waits on; it can be read when something came.
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)

    def put(self, item: Outgoing | Command) -> bool:
        """Add it and wake the reader; False when it is closed."""
        with self._lock:
            if self.closed:
                return False
            self._items.append(item)
            self._wake()
            return True

    def close(self) -> None:
        """Take nothing more, and wake the reader to notice."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._wake()

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            os.write(self._write, b"x")

    # -- for the reader --------------------------------------------------------------------------------------------

    def woken(self) -> None:
        """The descriptor could be read: let the next one wake it again."""
        with self._lock:
            self._awake = False
            os.read(self.descriptor, 16)

    def take(self) -> Outgoing | Command | None:
        """The next one, or None."""
        return self._items.popleft() if self._items else None

    def end(self, error: Callable[[], BaseException]) -> None:
        """Nobody reads any more: what is in it fails, each with an error of its own."""
        with self._lock:
            self.closed = True
            while self._items:
                self._items.popleft().fail(error())
            os.close(self.descriptor)
            os.close(self._write)

    def abandon(self) -> None:
        """In a forked child: let go of the descriptors; a lock may be held for ever."""
        for descriptor in (self.descriptor, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
