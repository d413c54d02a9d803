"""What a replay has done so far, on disk, so that it can go on after a crash without sending anything twice.

JSON Lines: a header that says what is replayed and how, then the number of each message that the broker has confirmed,
written before anything else is done about it. So what may be sent a second time after a crash is what had been
published and was not yet written here: at most one window of messages. The same salt gives them the same new ids.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path

from mpcli.errors import MpError, UsageError
from mpcli.recording.lines import append_lines

_FORMAT, _VERSION = "mp-replay", 1


class Journal:
    """An open journal. Each `confirm` reaches the kernel before it returns: killing this process loses nothing."""

    def __init__(self, path: Path, header: dict[str, object], confirmed: set[int], file: int) -> None:
        self.path = path
        self.header = header
        self.confirmed = confirmed
        self._file = file

    @classmethod
    def begin(cls, path: Path, header: dict[str, object]) -> Journal:
        """A new one, with mode 0600.

        Raises `UsageError` where an earlier replay has left one, `MpError` when it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise unfinished(path) from None
        except OSError as error:
            raise _unwritable(path, error, "nothing was sent") from error
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal = cls(path, {"format": _FORMAT, "version": _VERSION, **header}, set(), file)
        try:
            append_lines(file, json.dumps(journal.header).encode() + b"\n")
        except OSError as error:
            journal.finish()
            raise _unwritable(path, error, "nothing was sent") from error
        return journal

    @classmethod
    def resume(cls, path: Path) -> Journal:
        """The one of an earlier run. Raises `UsageError` when there is none, or another process goes on with it."""
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(
                f"there is nothing to resume: {path} does not exist", "a replay that ended whole leaves no journal"
            ) from None
        try:
            return cls._read(path, file)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def _read(cls, path: Path, file: int) -> Journal:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{path} is in use: that replay still runs", "wait for its end") from None
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        try:
            first, *lines = data[:whole].splitlines()
            header = json.loads(first)
            if header["format"] != _FORMAT or header["version"] != _VERSION:
                raise ValueError(f"format {header['format']} {header['version']}")
            confirmed = set(map(int, lines))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is no journal of a replay: {error}", "delete it to begin anew") from error
        os.ftruncate(file, whole)  # a number that a crash cut off would read as another one
        return cls(path, header, confirmed, file)

    def confirm(self, numbers: Iterable[int]) -> None:
        """These need never be sent again. Raises `MpError` when that cannot be written."""
        fresh = list(numbers)
        try:
            append_lines(self._file, b"".join(b"%d\n" % number for number in fresh))
        except OSError as error:
            raise _unwritable(self.path, error, "what was sent last may be sent twice") from error
        self.confirmed.update(fresh)

    def finish(self) -> None:
        """Nothing is left to be resumed: the file goes."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Keep it for a resume."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _unwritable(path: Path, error: OSError, hint: str) -> MpError:
    return MpError(f"the journal {path} cannot be written: {error.strerror or error}", hint)


def unfinished(path: Path) -> UsageError:
    """The refusal to begin what was begun before."""
    return UsageError(
        f"an earlier replay of this did not end: {path} has what it sent",
        "go on with --resume; to send everything anew, delete that file",
    )


def numbered(taken: dict[int, str], confirmed: set[int], found: list[str]) -> list[int | None]:
    """Which messages of an earlier run are those found in the queue now: a number for each, or None for another one.

    `taken` has the identity of each message of that run, `found` of each one there is. Of messages that are alike those
    not yet confirmed come first: one that was confirmed may be gone from the queue already, one that was not cannot be.
    """
    numbers: dict[str, list[int]] = {}
    for number, one in taken.items():
        numbers.setdefault(one, []).append(number)
    for alike in numbers.values():
        alike.sort(key=lambda number: (number in confirmed, number), reverse=True)
    return [numbers[one].pop() if numbers.get(one) else None for one in found]
