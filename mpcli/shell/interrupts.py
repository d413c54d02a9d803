"""Ctrl-C reaches what runs, and nothing else: a second one, or one that comes late, does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Raises KeyboardInterrupt on SIGINT inside of `running()`, and not inside of `held()` in there.

    Until `install` was called Python's own way holds: every SIGINT raises. A line editor that reads keys has its own
    handler for that time.
    """

    def __init__(self) -> None:
        self._is_running = False

    def install(self) -> None:
        """From now on SIGINT does nothing outside of `running()`. For the main thread; in others nothing is done."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        if self._is_running:
            raise KeyboardInterrupt

    @contextmanager
    def running(self) -> Iterator[None]:
        """Code that Ctrl-C may end."""
        before, self._is_running = self._is_running, True
        try:
            yield
        finally:
            self._is_running = before

    @contextmanager
    def held(self) -> Iterator[None]:
        """The little that is still to be done when Ctrl-C has come: another one is not heard."""
        before, self._is_running = self._is_running, False
        try:
            yield
        finally:
            self._is_running = before
