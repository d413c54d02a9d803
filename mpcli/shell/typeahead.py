"""What is typed while something runs waits, unseen, for the next prompt.

In its usual mode a terminal shows each key at once, in the middle of what is being written, and makes of Ctrl-D a sign
that no line editor knows. So between two prompts it shows nothing and gathers nothing; only what may read from it
itself, the user's own code and commands, finds it as it was. Ctrl-C and Ctrl-Z are signals all the time.
"""

from __future__ import annotations

import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_LOCAL = 3  # the place of the local flags in what `tcgetattr` gives
_STDIN = 0


class TypeAhead:
    """The mode of the terminal that stdin is; where it is none nothing is done."""

    def __init__(self) -> None:
        self._usual: list[Any] | None = None
        with suppress(termios.error):
            self._usual = termios.tcgetattr(_STDIN)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is typed inside is kept for whoever reads next."""
        yield from self._within(~(termios.ECHO | termios.ICANON | termios.IEXTEN))

    @contextmanager
    def usual(self) -> Iterator[None]:
        """The terminal is as it was at first."""
        yield from self._within(~0)

    def drop(self) -> None:
        """Forget what was typed and not read."""
        with suppress(termios.error):
            termios.tcflush(_STDIN, termios.TCIFLUSH)

    def _within(self, flags: int) -> Iterator[None]:
        if self._usual is None:
            yield
            return
        before = termios.tcgetattr(_STDIN)
        _set([flags & field if place == _LOCAL else field for place, field in enumerate(self._usual)])
        try:
            yield
        finally:
            _set(before)


def _set(mode: list[Any]) -> None:
    with suppress(termios.error):  # it may have been hung up meanwhile
        termios.tcsetattr(_STDIN, termios.TCSANOW, mode)
