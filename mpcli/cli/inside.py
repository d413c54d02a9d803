"""The commands of `mp`, run inside of the shell and in its context."""

from __future__ import annotations

from mpcli.cli.command_table import OPTIONS, SUMMARIES

# `mp shell` itself, what takes the place of this process, and what is written for another shell.
_ELSEWHERE = ("shell", "worker", "completion")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Inside:
    """What `mpcli.shell.commands` runs them by. typer is loaded when the first one is run."""

    def __init__(self) -> None:
        self._command: Any = None

    def names(self) -> dict[str, str]:
        """Those that can be run here, each with a line of what it does."""
        return {name: about for name, about in SUMMARIES.items() if name not in _ELSEWHERE}

    def run(self, words: list[str], context: str | None) -> int:
        """Run one, in `context` unless it names another; the exit code. Raises `MpError`, `KeyboardInterrupt`."""
        from mpcli.cli.app import as_command, run_command

        if self._command is None:
            self._command = as_command()
        path = " ".join(words[:2]) if " ".join(words[:2]) in OPTIONS else words[0]
        if context and "--context" in OPTIONS[path] and not any(word.startswith("--context") for word in words):
            at = len(path.split(" "))
            words = [*words[:at], "--context", context, *words[at:]]
        return run_command(self._command, words)
