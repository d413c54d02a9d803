"""A person changes a text in the editor of their choice."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from pathlib import Path

from mpcli.errors import UsageError


def edit(text: str, name: str = "mp-replay.txt") -> str:
    """The text as it is after $VISUAL, $EDITOR or vi has changed it. The file is readable by its user only.

    Raises `UsageError` when there is no editor or it fails.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="mp-edit-") as folder:  # its mode is 0700
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        # Ctrl-C in the editor is the editor's.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.run([*shlex.split(command), str(file)], check=False, restore_signals=True).returncode
        except (OSError, ValueError) as error:
            raise UsageError(f"the editor {command!r} cannot be run: {error}", "set EDITOR") from error
        finally:
            signal.signal(signal.SIGINT, before)
        if code:
            raise UsageError(f"the editor {command!r} ended with {code}: nothing was sent", "set EDITOR, or try again")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"what the editor {command!r} left cannot be read: {error}") from error
