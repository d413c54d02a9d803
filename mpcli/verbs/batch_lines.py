"""The lines of a batch: read as they come, or twice where a file allows it; each is the arguments of one call.

An object is named arguments, an array positional ones, and an object with no other keys than `args` (an array) and
`kwargs` (an object) is both.
"""

from __future__ import annotations

import json
import os
import select
import stat
from collections.abc import Iterator

from mpcli.errors import UsageError

Arguments = tuple[list[object], dict[str, object]]

_CHUNK = 1 << 20
# One line is one message, which is held in memory a few times over.
_MAX_LINE = 16 * 1024 * 1024
_FORMS = """a line is {"name": "value"}, or [1, 2], or {"args": [1], "kwargs": {"name": "value"}}"""


class BatchLine:
    """A line that is not blank; `number` counts from 1 and counts blank ones too."""

    __slots__ = ("number", "text")

    def __init__(self, number: int, text: bytes) -> None:
        self.number = number
        self.text = text

    def arguments(self) -> Arguments:
        """What the call gets. Raises `UsageError`."""
        try:
            value = json.loads(self.text.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except RecursionError as error:
            raise UsageError("JSON that is nested too deeply") from error
        except ValueError as error:
            raise UsageError(f"no JSON: {error}", _FORMS) from error
        if isinstance(value, list):
            return value, {}
        if not isinstance(value, dict):
            raise UsageError("neither a JSON object nor an array", _FORMS)
        return _both(value) or ([], value)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is a number of Python's, not of JSON's")


def _both(value: dict[str, object]) -> Arguments | None:
    args, kwargs = value.get("args", []), value.get("kwargs", {})
    if value and value.keys() <= {"args", "kwargs"} and isinstance(args, list) and isinstance(kwargs, dict):
        return args, kwargs
    return None


class BatchInput:
    """Where the lines come from: a descriptor, read without Python's buffers, for a thread may be stuck in a read when
    the program ends.

    `broken_off` is the number of the last line that was read, when `stop` ended the reading; None after a whole input.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self.broken_off: int | None = None
        self._descriptor = descriptor
        self._is_stopped = False
        try:
            self.rewinds = stat.S_ISREG(os.fstat(descriptor).st_mode)
            self._start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.rewinds else 0
        except OSError as error:
            raise UsageError(
                f"there is no stdin to read lines from: {(error.strerror or str(error)).lower()}"
            ) from error
        self._stopped, self._stop = (-1, -1) if self.rewinds else os.pipe()

    def lines(self) -> Iterator[BatchLine]:
        """The lines, from the first one when `rewinds`; after `stop` what is read already. Raises `UsageError`."""
        number, rest = 0, b""
        for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for text in whole:
                number += 1
                if text.strip():
                    yield BatchLine(number, text)
            if len(rest) > _MAX_LINE:
                raise UsageError(f"line {number + 1} is longer than {_MAX_LINE // 1024**2} MiB")
        if self._is_stopped:
            self.broken_off = number
        elif rest.strip():
            yield BatchLine(number + 1, rest)

    def stop(self) -> None:
        """Read no more of a stream, which may never end; a file is read to its end. From any thread, any number of
        times."""
        if self._stop >= 0:
            descriptor, self._stop = self._stop, -1
            os.close(descriptor)  # which wakes the one who waits for the stream

    def _chunks(self) -> Iterator[bytes]:
        at = self._start
        try:
            while data := os.pread(self._descriptor, _CHUNK, at) if self.rewinds else self._next():
                at += len(data)
                yield data
        except OSError as error:
            raise UsageError(f"stdin: {(error.strerror or str(error)).lower()}") from error
        finally:
            if not self.rewinds:
                os.close(self._stopped)

    def _next(self) -> bytes:
        """What comes next in a stream; nothing at its end, and once it is not wanted any more."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        self._is_stopped = self._stopped in dict(poll.poll())
        return b"" if self._is_stopped else os.read(self._descriptor, _CHUNK)
