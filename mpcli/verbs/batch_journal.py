"""What became of each line of a batch, on disk, so that the same command goes on after whatever ended it.

A line of the journal is written before a call is sent and after its result was handed on. After a `kill -9` each line
of the batch is therefore one of: not begun; ended, its result handed on; or sent with an unknown end. The file holds
ids and fingerprints, no arguments and no results. A power cut is not provided for: nothing is forced to the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterable

from mpcli.errors import MpError, UsageError
from mpcli.recording.lines import append_lines

_FORMAT = 1


class Progress:
    """Of one line: its `mark`, the `id` it was sent under (empty when it was wrong), and the exit `code` that it came
    to, None when unknown."""

    __slots__ = ("code", "id", "mark")

    def __init__(self, mark: str, task_id: str) -> None:
        self.mark = mark
        self.id = task_id
        self.code: int | None = None

    @property
    def never_ran(self) -> bool:
        """Whether it was wrong, and the run ended before it could say so."""
        return not self.id and self.code is None


class Journal:
    """The journal of a batch of `task` at `path`, made when it is not there; `lines` is what it held.

    Raises `UsageError` when it is another batch's, in use, or no journal at all.
    """

    def __init__(self, path: str, task: str) -> None:
        self.path = path
        self.lines: dict[int, Progress] = {}
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise UsageError(f"--journal {path}: {(error.strerror or str(error)).lower()}") from error
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise UsageError(f"--journal {path} is not a regular file", "it is read again and appended to")
            self._lock()
            self._read(task)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"--journal {self.path}: another batch is writing it") from error

    def _read(self, task: str) -> None:
        with open(self._descriptor, "rb", closefd=False) as file:
            data = file.read()
        head = json.dumps({"mp_batch": _FORMAT, "task": task}).encode() + b"\n"
        if head.startswith(data):  # new, or cut off in its first line
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, head)
            return
        whole, _, cut = data.rpartition(b"\n")
        try:
            self._read_records(whole.split(b"\n"), task)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"--journal {self.path} is no journal of a batch") from error
        if cut:  # the last write did not come through: it counts for nothing
            os.ftruncate(self._descriptor, len(whole) + 1)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def _read_records(self, records: list[bytes], task: str) -> None:
        head = json.loads(records[0])
        if head["mp_batch"] != _FORMAT or head["task"] != task:
            raise UsageError(
                f"--journal {self.path} belongs to a batch of {head['task']}", "each batch has a journal of its own"
            )
        for record in records[1:]:
            self._replay(json.loads(record))

    def _replay(self, record: dict[str, object]) -> None:
        number = int(str(record["line"]))
        if "sent" in record:
            self.lines[number] = Progress(str(record["mark"]), str(record["sent"]))
        elif "code" in record:
            self.lines[number].code = int(str(record["code"]))
        else:
            self.lines.pop(number, None)

    def taken(self, number: int, text: bytes) -> Progress | None:
        """What an earlier run came to with the line, which is then forgotten here; None when it did not call it.

        Raises `UsageError` when it was another line."""
        before = self.lines.pop(number, None)
        if before is None or before.never_ran:
            return None
        if before.mark != mark_of(text):
            raise UsageError(
                f"line {number} is not what it was when {self.path} was written",
                "a journal goes with one input; begin a new one for another",
            )
        return before

    def sending(self, number: int, text: bytes, task_id: str) -> None:
        """The line is going to be sent now; without an id it is wrong and will not be."""
        self._write([{"line": number, "mark": mark_of(text), "sent": task_id}])

    def ended(self, codes: Iterable[tuple[int, int | None]]) -> None:
        """These lines have come to these exit codes, and their results are handed on; None: it was never sent."""
        self._write([{"line": number, "unsent": True} if code is None else {"line": number, "code": code}
                     for number, code in codes])  # fmt: skip

    def _write(self, records: list[dict[str, object]]) -> None:
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            append_lines(self._descriptor, data)
        except OSError as error:
            raise MpError(f"--journal {self.path}: {(error.strerror or str(error)).lower()}") from error

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def mark_of(text: bytes) -> str:
    """A fingerprint of the line, to see that it is the same one the next time."""
    return hashlib.blake2b(text.strip(), digest_size=8).hexdigest()
