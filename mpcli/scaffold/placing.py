"""All or nothing: what is rendered stands complete in a hidden folder first and is then moved into its place.

Moving is a rename on the same file system. The place is claimed with an exclusive create before that, so a file or
folder that is already there, or that appears in this very moment, is never touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpcli.errors import MpError, UsageError
from mpcli.wire.aside import later

_PREFIX = ".mp-new-"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A hidden folder below `root`, gone at the end whatever happened. Raises `MpError` for a disk that says no."""
    # The name is known before the folder is there, so that no moment is left in which Ctrl-C would forget it.
    folder = root / f"{_PREFIX}{secrets.token_hex(6)}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    except OSError as error:
        raise MpError(
            f"cannot write in {root}: {error.strerror or error}", "nothing was changed; mend that and run it again"
        ) from error
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def refuse_existing(root: Path, names: list[str]) -> None:
    """Raise `UsageError` for the first name below `root` that is taken, also by a dangling link."""
    for name in names:
        if os.path.lexists(root / name):
            raise UsageError(f"{root / name} exists already", "choose another name; what is there is never touched")


def place(staged: Path, root: Path, names: list[str]) -> None:
    """Move each name from `staged` to `root`; on any failure, Ctrl-C included, take back those that were moved."""
    placed: list[Path] = []
    try:
        with later():  # what was claimed is in the list before it has to be taken back
            for name in names:
                target = root / name
                _claim(target, is_folder=(staged / name).is_dir())
                placed.append(target)
                os.replace(staged / name, target)
    except BaseException:
        for target in placed:
            _remove(target)
        raise


def _claim(target: Path, is_folder: bool) -> None:
    try:
        if is_folder:
            target.mkdir()
        else:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError as error:
        raise UsageError(f"{target} exists already", "choose another name; what is there is never touched") from error


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)
