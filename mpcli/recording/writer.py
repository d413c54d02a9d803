"""Appending to a recording so that a crash costs at most the last line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from time import time

from mpcli import __version__
from mpcli.errors import UsageError
from mpcli.recording.format import Entry, check_header, encode_entry, header_line, message_line, message_start
from mpcli.recording.lines import append_lines
from mpcli.wire.message import Message

# More routes than any platform has; a sender of random routing keys must not fill our memory.
_MAX_STARTS = 4096


class Writer:
    """An open recording. Each `write` reaches the kernel before it returns: killing this process loses nothing.

    A power cut can lose what the kernel had not yet put on the disk, at most the seconds that it waits; `close` syncs.
    """

    def __init__(self, path: Path) -> None:
        """Create the file with mode 0600, or open it to append; an existing one gets that mode too.

        Raises `UsageError` when it is no recording, or when another process writes to it.
        """
        self.path = path
        self.messages = 0
        self._starts: dict[tuple[str, str, str, str], str] = {}
        self._file = _open(path)
        try:
            self._begin()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def write(self, entries: list[Entry]) -> None:
        """Append lines in one go. Raises `OSError` when the disk is full; what was written whole can still be read."""
        append_lines(self._file, b"".join(map(encode_entry, entries)))
        self.messages += sum(entry.message is not None for entry in entries)

    def write_messages(self, kind: str, broker: str, at: float, messages: list[Message]) -> None:
        """As `write`, for messages that arrived together: nothing of them is decoded."""
        starts = self._starts
        lines = []
        for message in messages:
            route = (kind, broker, message.exchange, message.routing_key)
            start = starts.get(route)
            if start is None:
                if len(starts) >= _MAX_STARTS:
                    starts.clear()
                start = starts[route] = message_start(*route)
            lines.append(message_line(start, at, message.raw_properties, message.body, message.redelivered))
        append_lines(self._file, b"".join(lines))
        self.messages += len(messages)

    def sync(self) -> None:
        """Put everything on the disk, the file's name too: from here on not even a power cut loses it."""
        os.fsync(self._file)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Put everything on the disk and let go of the file."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _begin(self) -> None:
        size = os.fstat(self._file).st_size
        if size:
            _check_start(self.path, os.pread(self._file, 4096, 0))
            if os.pread(self._file, 1, size - 1) != b"\n":
                # What a crash tore: end its line, so that the reader skips that one and nothing else.
                append_lines(self._file, b"\n")
        os.fchmod(self._file, 0o600)
        append_lines(self._file, header_line(__version__, time()))


def _open(path: Path) -> int:
    import fcntl

    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise UsageError(f"{path} is not a regular file", "a recording is read again and appended to")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise UsageError(f"{path} is being written by another process", "record to a file of its own") from None
    except BaseException:
        os.close(file)
        raise
    return file


def _check_start(path: Path, start: bytes) -> None:
    try:
        check_header(json.loads(start.partition(b"\n")[0]))
    except (ValueError, UsageError) as error:
        raise UsageError(
            f"{path} exists and is not a recording that can be appended to", "nothing was written; choose another file"
        ) from error
