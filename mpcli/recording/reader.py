"""Reading a recording line by line; what is damaged is counted and skipped, never guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.recording.format import DamagedLine, Entry, NotARecording, check_header, decode_line
from mpcli.words import counted

MAKES_ONE = "`mp tail --record FILE` makes a recording"

# A line longer than this is no message: RabbitMQ refuses bodies above 128 MiB, which base64 makes 171 MiB.
_MAX_LINE = 256 * 1024 * 1024


class Reader:
    """Iterate it for the entries. `damaged` then holds the numbers of lines that could not be read, and `torn` says
    whether the last line was cut off, as a crash of the recorder leaves it (it is not counted as damaged)."""

    def __init__(self, path: Path) -> None:
        """Raises `UsageError` without such a file, `NotARecording` when its first line says so, `OSError` when it
        cannot be read."""
        if not path.exists():
            raise UsageError(f"there is no file {path}", MAKES_ONE)
        self.path = path
        self.damaged: list[int] = []
        self.torn = False
        with path.open("rb") as file:
            self._check(file.readline(4096))

    @property
    def damage(self) -> str:
        """What was skipped, in words; empty when all could be read."""
        words = []
        if self.damaged:
            some = ", ".join(map(str, self.damaged[:5])) + (", ..." if len(self.damaged) > 5 else "")
            words.append(f"{counted(len(self.damaged), 'damaged line')} skipped ({some})")
        if self.torn:
            words.append("the last line is cut off, as a crash leaves it, and was skipped")
        return "; ".join(words)

    def _check(self, first: bytes) -> None:
        try:
            check_header(json.loads(first))
        except (ValueError, RecursionError):
            # Not even the first line is whole: the recorder died at once, or this is something else.
            if first.endswith(b"\n") or not b'{"format": "mp-recording"'.startswith(first[:25]):
                raise NotARecording(f"{self.path} is not a recording of mp", MAKES_ONE) from None
        except NotARecording as error:
            raise NotARecording(f"{self.path}: {error.message}", error.hint) from error

    def __iter__(self) -> Iterator[Entry]:
        self.damaged, self.torn = [], False
        number = 0
        with self.path.open("rb") as file:
            while line := file.readline(_MAX_LINE):
                number += 1
                try:
                    entry = decode_line(line, number)
                except DamagedLine:
                    if line.endswith(b"\n"):
                        self.damaged.append(number)
                    else:
                        self.torn = True
                    continue
                if entry is not None:
                    yield entry
