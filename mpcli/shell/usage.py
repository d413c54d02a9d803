"""How often names were used: what ranks completion. Kept with the history, and worth no more than it: when it cannot
be read or written it begins at nothing."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress

_NAMES = 500
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?""", re.DOTALL)
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class Usage:
    """Counts by name, in a file of mode 0600."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._counts: dict[str, int] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """By name; read when they are first needed."""
        if self._counts is None:
            self._counts = _read(self._file)
        return self._counts

    def note(self, text: str) -> None:
        """Count the names in a line that was run, without those in strings."""
        counts = self.counts
        for name in names_in(text):
            counts[name] = counts.get(name, 0) + 1
        if len(counts) > _NAMES:
            # The rarest go; of the others half counts, so that habits can change.
            kept = sorted(counts, key=lambda name: -counts[name])[: _NAMES // 2]
            self._counts = {name: (counts[name] + 1) // 2 for name in kept}
        self._write()

    def _write(self) -> None:
        temporary = f"{self._file}.{os.getpid()}"
        with suppress(OSError):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(self._counts, stream)
            os.replace(temporary, self._file)


def names_in(text: str) -> set[str]:
    """The names in a line, dotted ones as a whole; nothing of what stands in strings."""
    return set(_DOTTED.findall(_STRING.sub(" ", text)))


def _read(file: str) -> dict[str, int]:
    try:
        with open(file, encoding="utf-8") as stream:
            data = json.load(stream)
        return {str(name): int(count) for name, count in data.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
