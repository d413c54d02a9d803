"""Appending lines to a file so that none of them is ever half of one and half of another."""

from __future__ import annotations

import os


def append_lines(file: int, data: bytes) -> None:
    """Write whole lines to the end of the open `file`; they are in the kernel when this returns.

    Raises `OSError` when they cannot be written, on a full disk say. Then of these lines the first ones are there,
    whole, or none: what follows, once there is room again, must not continue one that was cut off.
    """
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        written = len(data) - len(view)
        cut = written - (data.rfind(b"\n", 0, written) + 1)
        if cut:
            size = os.fstat(file).st_size - cut
            os.ftruncate(file, size)
            os.lseek(file, size, os.SEEK_SET)
        raise
