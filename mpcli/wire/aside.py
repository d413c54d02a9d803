"""Threads beside the main one, which Ctrl-C is for.

The kernel hands a signal to any thread that does not block it. Python runs the handler in the main thread, and that
one, asleep in a system call, wakes only when it was the thread chosen: else a Ctrl-C was not heard until the sleep was
over (seen with Linux 6.18, once in some thirty times). Sources: signal(7); Python's `signal`, "Signals and threads".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Startable(Protocol):
        """A thread, or what has one: rich's progress bar."""

        def start(self) -> None:
            """Start it."""


def start(thread: Startable) -> None:
    """Start a thread that is handed no signal meant for the main one. Processes that it starts would inherit that."""
    import signal

    # Asked for first: the call that blocks raises what a Ctrl-C just before it raises, when all is blocked already.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def later() -> Iterator[None]:
    """The little that must be whole before Ctrl-C is heard: it is raised at the end, with what was done known."""
    import signal

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
