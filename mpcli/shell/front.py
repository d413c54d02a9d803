"""Showing events, and running code that nobody types: `-c`, a file, a pipe.

`show(event, session)` is what every front shows an event with; on a terminal it is for people, in a pipe for programs.
`run_code` runs a whole text of the language and returns the exit code that the call would have had.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from mpcli.bus.naming import TaskName
from mpcli.errors import ExitCode, MpError
from mpcli.platform.contexts import Ask
from mpcli.render.asking import asker
from mpcli.render.console import print_line, print_note
from mpcli.render.escape import escape
from mpcli.render.secrets import masked_text
from mpcli.render.shell import copy, page_value, show_error, show_raised, show_value
from mpcli.shell.events import Copied, Ended, Event, Failure, Interrupted, Leave, Paged, Raised, Said, Text, Value
from mpcli.shell.language import cells
from mpcli.shell.python import remember_source, short_traceback
from mpcli.shell.session import Session


class PlainFront:
    """Notes on stderr, a question where there is a terminal; nothing moves."""

    @property
    def ask(self) -> Ask | None:
        """A line on stderr and one from stdin."""
        return asker()

    def note(self, text: str) -> None:
        """A line on stderr."""
        print_note(f"mp: {text}")

    def calling(self) -> AbstractContextManager[None]:
        """Nothing is typed."""
        return nullcontext()

    def waiting(self, _name: TaskName, _task_id: str) -> AbstractContextManager[None]:
        """Nothing is shown."""
        return nullcontext()


def show(event: Event, session: Session) -> None:
    """Show one event: values on stdout, all else on stderr."""
    if isinstance(event, Value):
        show_value(event.value, session.form, event.seconds)
    elif isinstance(event, Paged):
        page_value(event.value, session.form)
    elif isinstance(event, Copied):
        print_note("copied" if copy(event.text) else "there is no terminal to copy to")
    elif isinstance(event, Failure):
        if event.where:
            print_note(f"{event.where}:")
        show_error(event.error, event.seconds)
    elif isinstance(event, Raised):
        show_raised(event.lines)
    elif isinstance(event, Interrupted):
        print_note(f"interrupted{': ' if event.text else ''}{event.text}")
    elif isinstance(event, Said):
        print_note(event.text)
    elif isinstance(event, Text):
        print_line(escape(masked_text(event.text)))


def shown(event: Event, session: Session, show: Callable[[Event, Session], None] = show) -> Event:
    """Show it. A value is asked for its text, which may be code of the user's: what that raises is shown in its place,
    and returned."""
    try:
        show(event, session)
    except (MpError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends no session
        event = Raised(error, short_traceback(error), 0.0)
        show(event, session)
    return event


def run_code(session: Session, text: str, name: str, show: Callable[[Event, Session], None] = show) -> int:
    """Run a whole text, cell by cell, to the first that fails; show the value of the last expression of all."""
    if name.startswith("<"):
        remember_source(name, text)
    last: Value | None = None
    for cell in cells(text):
        last = None
        for event in session.run_cell(cell, name):
            if isinstance(event, Leave):
                return event.code
            if isinstance(event, Value):
                last = event
                continue
            if isinstance(event, Raised) and isinstance(event.error, BrokenPipeError) and not _is_read():
                raise event.error
            show(event, session)
            if (code := exit_code(event)) is not None:
                return code
    code = exit_code(shown(last, session, show)) if last is not None else None
    return int(ExitCode.OK) if code is None else code


def _is_read() -> bool:
    """Whether stdout still leads somewhere: its reader may have gone away (`| head`) while the user's code printed."""
    import select

    poll = select.poll()
    poll.register(1, 0)  # an error is told unasked
    return not poll.poll(0)


def exit_code(event: Event) -> int | None:
    """The exit code of what ends a script, None for what does not."""
    if isinstance(event, Failure):
        return int(event.error.exit_code)
    if isinstance(event, Ended):
        return event.code
    if isinstance(event, Interrupted):
        return int(ExitCode.INTERRUPTED)
    if isinstance(event, Raised):
        return int(ExitCode.USAGE if isinstance(event.error, SyntaxError) else ExitCode.UNEXPECTED)
    return None
