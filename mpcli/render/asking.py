"""The question whether something may be done in a context. Light: it stands ready on the path of every `mp call`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from mpcli.render.escape import escape_line


def asker() -> Callable[[str], bool] | None:
    """What `allow_write` asks a person with; None where nobody can be asked, because there is no terminal."""
    return _ask if sys.stdin.isatty() and sys.stderr.isatty() else None


def _ask(question: str) -> bool:
    """Whether the answer is yes. Raises `Interrupted` on Ctrl-C."""
    try:
        sys.stderr.write(f"{escape_line(question)} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stderr.write("\n")  # Ctrl-D: what is told next begins a line
        return answer.strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        from mpcli.errors import Interrupted

        sys.stderr.write("\n")
        raise Interrupted(f"not answered: {question}", "nothing was changed") from None
