"""Ctrl-C as a wish that is granted at the next safe moment, for what must not be torn in the middle."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """Once `arm` was called the first Ctrl-C only sets `asked`; a second one interrupts as always."""

    def __init__(self) -> None:
        self.asked = False
        self._before: object = None

    def __enter__(self) -> Interrupt:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]
            self._before = None

    def arm(self) -> None:
        """From now on. Only the main thread gets signals; in any other this does nothing."""
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
