"""Files as completion offers them. Light: it is on the path of TAB."""

from __future__ import annotations

import os


def files(unfinished: str) -> list[str]:
    """Files and folders that begin so, folders with their slash; the hidden ones only when asked for by their dot."""
    folder, slash, beginning = unfinished.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(folder) + "/" if slash else ".") as entries:
            return sorted(
                f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
                for entry in entries
                if entry.name.startswith(beginning)
                and (beginning or not entry.name.startswith("."))
                and entry.name.isprintable()
            )
    except OSError:
        return []
