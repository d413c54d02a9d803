"""The shell on a terminal."""

from __future__ import annotations

from mpcli.shell.events import Leave
from mpcli.shell.front import show
from mpcli.shell.session import Session


def run(session: Session) -> int:
    """Read, run and show until the user leaves; return the exit code."""
    text = ""
    while True:
        try:
            text += input("... " if text else f"{session.context.name}> ")
            if not session.is_complete(text):
                text += "\n"
                continue
            for event in session.run(text) if text.strip() else ():
                if isinstance(event, Leave):
                    return event.code
                show(event, session)
        except KeyboardInterrupt:
            print()  # noqa: T201
        except EOFError:
            return 0
        text = ""
