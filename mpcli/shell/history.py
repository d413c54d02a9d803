"""The lines of one context, over sessions: a file of mode 0600, in the format of prompt_toolkit's own.

A line with a secret is never written, and never suggested; it is remembered until the session ends, so that a typing
error in it can be mended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from mpcli.platform.contexts import Context
from mpcli.platform.root import state_folder

_LARGEST = 1 << 20  # bytes; what is older goes

Secret = Callable[[str], bool]


def history_file(context: Context) -> str:
    """Where the lines of this context are kept: a context of a platform is another one than that of its neighbour."""
    from hashlib import blake2s

    folder = os.path.join(state_folder(""), "shell")
    with suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    where = os.path.basename(context.root) or "everywhere"
    return os.path.join(folder, f"{where}-{blake2s(context.root.encode(), digest_size=4).hexdigest()}.{context.name}")


class Lines(FileHistory):
    """The history of a context. `is_secret` says which lines are not to be kept."""

    def __init__(self, file: str, is_secret: Secret) -> None:
        super().__init__(file)
        self._file = file
        self._is_secret = is_secret

    def load_history_strings(self) -> Iterable[str]:
        """The latest first; none where there is no file that can be read."""
        try:
            self._shorten()
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Keep the line, unless it holds a secret. A full disk costs the line and nothing else."""
        if self._is_secret(string):
            return
        with suppress(OSError):
            # Made here, because prompt_toolkit would make it readable for everybody.
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600))
            os.chmod(self._file, 0o600)
            super().store_string(string.encode("utf-8", "replace").decode())

    def _shorten(self) -> None:
        name = self._file
        if not os.path.exists(name) or os.path.getsize(name) <= _LARGEST:
            return
        with open(name, "rb") as stream:
            stream.seek(-_LARGEST // 2, os.SEEK_END)
            data = stream.read()
        temporary = f"{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data[data.find(b"\n#") + 1 :])
        os.replace(temporary, name)


class Suggestions(AutoSuggestFromHistory):
    """What was typed before and began like this, in grey; nothing that holds a secret."""

    def __init__(self, is_secret: Secret) -> None:
        super().__init__()
        self._is_secret = is_secret

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """The rest of the line that is suggested."""
        found = super().get_suggestion(buffer, document)
        return None if found is None or self._is_secret(document.text + found.text) else found
