"""What a terminal shows while a call waits: a spinner, the time, and what the workers of its queue are doing.

The workers are asked (Celery's `active`) from a thread and over a connection of its own, once the wait is long enough
for a person to wonder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Lock, Thread
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError
from mpcli.platform.contexts import Ask, Context
from mpcli.render.asking import asker
from mpcli.render.console import print_note
from mpcli.render.escape import escape_line
from mpcli.wire import aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.shell.session import Session
    from mpcli.shell.typeahead import TypeAhead

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FIRST, _EVERY = 0.3, 0.1  # seconds: a call that is faster shows nothing
_WONDER, _ASK_EVERY, _ANSWER = 1.0, 1.0, 0.7
_CLEAR = "\r\x1b[K"


class TerminalFront:
    """Notes, questions and the wait of a session, on a terminal."""

    def __init__(self, session: Session, type_ahead: TypeAhead) -> None:
        self._session = session
        self._type_ahead = type_ahead
        self._spinner: _Spinner | None = None

    @property
    def ask(self) -> Ask | None:
        """A line on stderr and one from stdin."""
        ask = asker()

        def in_view(question: str) -> bool:
            with self._type_ahead.usual():
                self._type_ahead.drop()  # what was typed before the question is no answer to it
                return ask is not None and ask(question)

        return in_view if ask else None

    def note(self, text: str) -> None:
        """A line on stderr, above the spinner where there is one."""
        say = self._spinner.say if self._spinner else print_note
        say(f"mp: {text}")

    def calling(self) -> AbstractContextManager[None]:
        """What is typed meanwhile is for the next prompt."""
        return self._type_ahead.kept()

    @contextmanager
    def waiting(self, name: TaskName, task_id: str, /) -> Iterator[None]:
        """Show the wait for the end of a task."""
        spinner = self._spinner = _Spinner(name, task_id, self._session.context)
        spinner.start()
        try:
            with self._type_ahead.kept():
                yield
        finally:
            self._spinner = None
            spinner.stop()


class _Spinner:
    """One line that is written again and again, and is gone at the end."""

    def __init__(self, name: TaskName, task_id: str, context: Context) -> None:
        self._name = name
        self._id = task_id
        self._context = context
        self._began = monotonic()
        self._doing = ""
        self._drawn = False
        self._lock = Lock()
        self._stopped = Event()

    def start(self) -> None:
        aside.start(Thread(target=self._spin, name="mp shell spinner", daemon=True))
        aside.start(Thread(target=self._wonder, name="mp shell wonder", daemon=True))

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            self._clear()

    def say(self, text: str) -> None:
        """A line above."""
        with self._lock:
            self._clear()
            print_note(text)

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
            self._drawn = False

    def _spin(self) -> None:
        frame = 0
        wait = _FIRST
        while not self._stopped.wait(wait):
            wait = _EVERY
            with self._lock:
                if not self._stopped.is_set():
                    self._draw(_FRAMES[frame % len(_FRAMES)])
            frame += 1

    def _draw(self, sign: str) -> None:
        from shutil import get_terminal_size

        seconds = monotonic() - self._began
        text = f"{sign} {self._name}  {seconds:.1f} s" + (f"  {self._doing}" if self._doing else "  Ctrl-C gives up")
        # One column less than there are: a full line would begin the next one.
        sys.stderr.write(f"\r{escape_line(text)[: get_terminal_size().columns - 1]}\x1b[K")
        sys.stderr.flush()
        self._drawn = True

    def _wonder(self) -> None:
        wait = _WONDER
        while not self._stopped.wait(wait):
            wait = _ASK_EVERY
            try:
                self._ask_workers()
            except (MpError, OSError):
                continue  # the call itself will tell what is wrong; what is only slow answers the next time

    def _ask_workers(self) -> None:
        from mpcli.wire.control import Control
        from mpcli.wire.diagnosis import so_far
        from mpcli.wire.handshake import connect

        with connect(self._context.endpoint(self._name.mode).url, timeout=_ANSWER, name="mp shell") as connection:
            control = Control(connection)
            while not self._stopped.is_set():
                self._doing = so_far(control, self._name, self._id, _ANSWER)
                if self._stopped.wait(_ASK_EVERY):
                    return
