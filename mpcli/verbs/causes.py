"""Why tasks failed: what their workers said, from the logs of the platform that runs here, or from a recording.

A dead letter holds no error: `basic.reject` cannot add one. A worker tells it in two places: in its log, and in the
event `task-failed`, which a recording of `mp tail` holds. Both are text, and are only ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mpcli.platform.contexts import LOCAL, Context
from mpcli.recording.format import EVENT
from mpcli.recording.reader import Reader
from mpcli.wire.events import task_events

# The end of a log is looked at, so far back.
_TAIL = 16 * 1024 * 1024
# Celery's log format and its texts: celery.app.trace and celery.worker.consumer.
_RAISED = re.compile(r"\[.*: ERROR/.*\] Task (\S+)\[(\S+)\] (?:raised unexpected|INTERNAL ERROR): (.*)")
_UNREGISTERED = re.compile(r"Received unregistered task of type '(.+)'\.")
_NEW_RECORD = re.compile(r"\[\d{4}-\d\d-\d\d ")
_MOST_TRACEBACK = 200


class Cause:
    """What a worker said: the exception as it wrote it, its traceback, and where that was found."""

    __slots__ = ("source", "text", "traceback")

    def __init__(self, text: str, traceback: str, source: str) -> None:
        self.text = text
        self.traceback = traceback
        self.source = source

    @property
    def kind(self) -> str:
        """The exception's type, from the text that is its repr; the whole text where it is none."""
        name, bracket, _ = self.text.partition("(")
        return name if bracket and name.replace(".", "").replace("_", "").isalnum() else self.text


class Causes:
    """All that can be found out: by a task's id, and by the name of a task that no worker knew."""

    def __init__(self, around: Context, recording: Path | None = None) -> None:
        """Raises `NotARecording` and `OSError` for the recording; logs that cannot be read say nothing."""
        self._by_id: dict[str, Cause] = {}
        self._unregistered: dict[str, str] = {}
        if around.name == LOCAL and around.runtime:
            for file in sorted(Path(around.runtime, "logs").glob("*.log")):
                self._read_log(file)
        if recording is not None:
            self._read_recording(recording)

    def of(self, task: str, task_id: str) -> Cause | None:
        """The cause of this failure, or None when nobody told it."""
        found = self._by_id.get(task_id)
        named = repr(task)[1:-1]  # as Celery writes it there
        if found is None and named in self._unregistered:
            return Cause(f"unregistered: no worker knew the task {task}", "", self._unregistered[named])
        return found

    def _read_log(self, file: Path) -> None:
        lines = _last_lines(file)
        for line in lines:
            raised = _RAISED.match(line)
            if raised:
                self._by_id[raised[2]] = Cause(raised[3], "", str(file))
                self._read_traceback(self._by_id[raised[2]], lines)
            elif unknown := _UNREGISTERED.search(line):
                self._unregistered[unknown[1]] = str(file)

    def _read_traceback(self, cause: Cause, lines: _Lines) -> None:
        found: list[str] = []
        for line in lines:
            if _NEW_RECORD.match(line):
                lines.put_back(line)
                break
            if len(found) < _MOST_TRACEBACK:
                found.append(line)
        cause.traceback = "\n".join(found).rstrip()

    def _read_recording(self, path: Path) -> None:
        for entry in Reader(path):
            if entry.kind != EVENT or entry.message is None:
                continue
            for told in task_events(entry.message):
                if told.what == "failed":
                    self._by_id[told.id] = Cause(told.text("exception"), told.text("traceback"), str(path))


class _Lines:
    """Lines, of which the last one can be put back."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = iter(lines)
        self._again: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._again.pop() if self._again else next(self._lines)

    def put_back(self, line: str) -> None:
        self._again.append(line)


def _last_lines(file: Path) -> _Lines:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(size - _TAIL, 0))
            return _Lines(stream.read().decode(errors="replace").split("\n"))
    except OSError:
        return _Lines([])
