"""A program in a terminal in memory: what is typed goes in, and what a person would see can be asked for.

A pseudo-terminal, with pyte as the terminal behind it; it answers what terminals are asked (where is the cursor). For
tests, benchmarks and pictures alike.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

DEADLINE = 40.0  # seconds; a machine may be busy
ENTER, TAB, ESCAPE, BACKSPACE, UP = "\r", "\t", "\x1b", "\x7f", "\x1b[A"
F1, F2, F4 = "\x1bOP", "\x1bOQ", "\x1bOS"


def ctrl(letter: str) -> str:
    """The sign that Ctrl and this letter send."""
    return chr(ord(letter.upper()) - 64)


class _Screen(pyte.Screen):
    """A screen that answers its program."""

    answer: Callable[[str], None] = staticmethod(lambda _: None)

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """A running program and its screen; `descriptor` is our end of the pseudo-terminal."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self.descriptor, theirs = os.openpty()
        self.screen = _Screen(columns, lines)
        self.screen.answer = self.send
        self._stream = pyte.ByteStream(self.screen)
        self._size(columns, lines)
        self.process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            # A size that somebody else was told (pytest-xdist tells its workers one) goes before the terminal's own.
            env={key: value for key, value in env.items() if key not in ("COLUMNS", "LINES")}
            | {"TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - one system call, which takes no lock
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self.descriptor, keys.encode())

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without the blanks at their ends."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """All of the screen."""
        return "\n".join(self.lines).rstrip()

    @property
    def line(self) -> str:
        """The line that the cursor is on."""
        return self.lines[self.screen.cursor.y]

    @property
    def bar(self) -> str:
        """The last line that is not empty: where the shell shows how things are."""
        return next((line for line in reversed(self.lines) if line), "")

    def resize(self, columns: int, lines: int) -> None:
        """As a person does by the window's corner; the program is told by a signal."""
        self.screen.resize(lines, columns)
        self._size(columns, lines)

    def see(self, wanted: str | Callable[[], object], seconds: float = DEADLINE) -> None:
        """Wait until the text stands on the screen, or the condition on it holds."""
        condition = (lambda: wanted in self.text) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(left):
                what = repr(wanted) if isinstance(wanted, str) else "what was waited for"
                raise AssertionError(f"{what} is not on the screen:\n{self.text}")

    def read(self, wait: float) -> bool:
        """Take in what the program writes; False when it has ended. Waits at most `wait` seconds for something."""
        if not select.select([self.descriptor], [], [], wait)[0]:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # Linux answers EIO when the last writer is gone
            return False
        self._stream.feed(data)
        return bool(data)

    def wait(self, seconds: float = DEADLINE) -> int:
        """The exit code, once the program has ended by itself."""
        deadline = time.monotonic() + seconds
        while self.read(max(deadline - time.monotonic(), 0)):
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end:\n{self.text}")
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it, if it runs yet."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        os.close(self.descriptor)

    def _size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _take_terminal() -> None:
    """Make stdin the controlling terminal, so that Ctrl-C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
