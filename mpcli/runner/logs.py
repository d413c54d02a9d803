"""What the processes of a detached run wrote, in files: one for each, and one for the run itself."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TextIO

from mpcli.runner.events import Event, Log, as_dict
from mpcli.words import iso, rounded

# Bytes after which a file becomes `<name>.1` and a new one begins; the older `.1` is dropped.
LARGEST = 10_000_000
RUN_LOG = "up.jsonl"


class LogFolder:
    """`<process>.log` holds a process's own lines as they came, `up.jsonl` everything else that happened.

    A full disk loses lines and stops nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, TextIO] = {}
        path.mkdir(mode=0o700, exist_ok=True)
        for old in path.glob("*.log*"):
            old.unlink(missing_ok=True)
        (path / RUN_LOG).unlink(missing_ok=True)

    def __enter__(self) -> LogFolder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()

    def write(self, event: Event) -> None:
        """Keep an event in its file."""
        if isinstance(event, Log):
            self._append(f"{event.process}.log", event.line)
        else:
            self.note(as_dict(event))

    def note(self, fields: dict[str, object]) -> None:
        """Keep something about the run, and when it was."""
        self._append(RUN_LOG, json.dumps({"at": iso(time.time()), **rounded(fields)}))

    def _append(self, name: str, line: str) -> None:
        with contextlib.suppress(OSError):
            file = self._files.get(name) or self._open(name)
            if file.tell() > LARGEST:
                file.close()
                os.replace(self.path / name, self.path / f"{name}.1")
                file = self._open(name)
            file.write(line + "\n")
            file.flush()

    def _open(self, name: str) -> TextIO:
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        file = self._files[name] = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        return file
