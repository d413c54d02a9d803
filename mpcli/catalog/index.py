"""The catalog as sorted lines on disk, for TAB and for one call: found by bisection, without parsing the rest.

Three files in the platform's cache folder, written by `mpcli.catalog.indexing` after each scan: `tasks` (a line for
each task), `services`, and `stamps` (what was looked at, and its time and size then). Little is imported: all of
a TAB has to fit into a fifth of Python's own start.

Freshness: the platform's folder and the files of the services in question are held against their stamps, as long as
these are at most `CHECKED` paths; a change is scanned before anything is answered. Where more is in question, the
answer is what the last scan saw, and a scan in the background follows when that is older than `STALE` seconds.
"""

from __future__ import annotations

import os
import sys

from mpcli.platform.root import cache_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

TASKS, SERVICES, STAMPS, SCANNING = "tasks", "services", "stamps", "scanning"
_LONGEST_SCAN = 60.0
CHECKED = 200
STALE = 10.0
_BLOCK = 4096
FIELD, PART = "\x1f", "\x1e"


class IndexedTask:
    """A task as the index has it. `items` are what may be typed behind it (`email=`), each with a description."""

    __slots__ = ("doc", "items", "json", "name", "returns", "where")

    def __init__(self, line: bytes) -> None:
        fields = line.decode("utf-8", "replace").split("\t")
        self.name, self.doc, self.returns, self.where, items, self.json = fields
        parts = [part.partition(FIELD) for part in items.split(PART)] if items else []
        self.items = [(item, described) for item, _, described in parts]

    def parameters(self) -> list[dict[str, object]] | None:
        """As `mp_describe` and the source scan have them; None where only the name is known."""
        import json

        told = json.loads(self.json)
        return None if told is None else list(told)


def with_prefix(file: str, prefix: str) -> Iterator[bytes]:
    """The lines of a sorted file that begin with `prefix`; none when it cannot be read."""
    try:
        stream = open(file, "rb", buffering=_BLOCK)  # noqa: SIM115 - closed below
    except OSError:
        return
    key = prefix.encode()
    with stream:
        stream.seek(_near(stream, key))
        for line in stream:
            if line.startswith(key):
                yield line.rstrip(b"\n")
            elif line > key:
                return


def _near(stream: BinaryIO, key: bytes) -> int:
    """The beginning of a line, with only smaller ones before it, that is at most a few lines before `key`."""
    low, high = 0, os.fstat(stream.fileno()).st_size
    while low < high:
        middle = (low + high) // 2
        stream.seek(middle)
        stream.readline()  # the rest of a line that began before
        if stream.tell() < high and stream.readline() < key:
            low = stream.tell()
        else:
            high = middle
    return low


def tasks(root: str, prefix: str) -> list[IndexedTask]:
    """The tasks in the platform's source whose names begin with `prefix`, by name, as fresh as is said above."""
    refresh(root, prefix)
    return [IndexedTask(line) for line in with_prefix(os.path.join(cache_folder(root), TASKS), prefix)]


def names(root: str) -> list[str]:
    """The names of all tasks in the platform's source, as the last scan saw them."""
    lines = with_prefix(os.path.join(cache_folder(root), TASKS), "")
    return [line.partition(b"\t")[0].decode("utf-8", "replace") for line in lines]


def live_tasks(root: str, context: str, prefix: str) -> list[IndexedTask]:
    """The tasks that workers of the context served when they were last asked."""
    return [IndexedTask(line) for line in with_prefix(os.path.join(cache_folder(root), f"live.{context}"), prefix)]


def lookup(root: str, name: str) -> IndexedTask | None:
    """One task of the platform's source by its whole name."""
    return next((task for task in tasks(root, f"{name}\t")), None)


def seen(root: str, name: str) -> IndexedTask | None:
    """One task as the last scan saw it."""
    lines = with_prefix(os.path.join(cache_folder(root), TASKS), f"{name}\t")
    return next((IndexedTask(line) for line in lines), None)


def services(root: str, prefix: str) -> list[tuple[str, list[str]]]:
    """The platform's services whose names begin with `prefix`, with their modes."""
    refresh(root, prefix)
    return _services(root, prefix)


def _services(root: str, prefix: str) -> list[tuple[str, list[str]]]:
    lines = with_prefix(os.path.join(cache_folder(root), SERVICES), prefix)
    return [(name, modes.split()) for name, _, modes in (line.decode().partition("\t") for line in lines)]


def refresh(root: str, prefix: str) -> None:
    """Scan what changed, before or after the answer: see the top of this module."""
    changed = has_changed(root, prefix)
    if changed:
        scan(root)
    elif changed is None and not 0 <= _now() - os.stat(os.path.join(cache_folder(root), TASKS)).st_mtime < STALE:
        scan_behind(root)


def has_changed(root: str, prefix: str) -> bool | None:
    """Whether the source of the services in question changed since it was scanned, or never was; None when they are
    too many to be looked at."""
    folder = cache_folder(root)
    if not os.path.exists(os.path.join(folder, TASKS)):
        return True
    stamps = os.path.join(folder, STAMPS)
    lines = list(with_prefix(stamps, "\t"))
    service, dot, _ = prefix.partition(".")
    wanted = service + ("\t" if dot else "")
    if not any(with_prefix(stamps, wanted)):
        wanted = ""  # nobody we know: any folder may have become it
    for line in with_prefix(stamps, wanted):
        lines.append(line)
        if len(lines) > CHECKED:
            return None
    return not all(map(_is_unchanged, lines))


def is_fresh(root: str) -> bool:
    """Whether nothing changed since the last scan, as far as the first `CHECKED` of the paths tell that it saw."""
    from itertools import islice

    lines = list(islice(with_prefix(os.path.join(cache_folder(root), STAMPS), ""), CHECKED))
    return bool(lines) and all(map(_is_unchanged, lines))


def stamp(status: os.stat_result) -> str:
    """What changes when the file or folder does."""
    return f"{status.st_mtime_ns}:{status.st_size}"


def _is_unchanged(line: bytes) -> bool:
    _, path, then = line.split(b"\t")
    try:
        return stamp(os.stat(path)).encode() == then
    except OSError:
        return then == b"absent"


def scan(root: str) -> None:
    """Read what changed in the source and write the index anew. Raises `MpError` for a broken platform."""
    from pathlib import Path

    from mpcli.catalog.source import scan_platform
    from mpcli.platform.layout import load_platform

    scan_platform(load_platform(Path(root)))


def scan_behind(root: str) -> None:
    """Scan in a child that outlives us, so that nobody waits; it lets go of the shell's pipe at once."""
    if not hasattr(os, "fork"):
        return
    sys.stdout.flush()
    if os.fork():
        return
    status = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        status = _scan_alone(root)
    finally:
        os._exit(status)


def _scan_alone(root: str) -> int:
    """Scan, unless another child does so already; one that was killed is waited for no longer than a minute."""
    folder = cache_folder(root)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    marker = os.path.join(folder, SCANNING)
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if _now() - os.stat(marker).st_mtime < _LONGEST_SCAN:
            return 0
        os.utime(marker)
    try:
        scan(root)
    finally:
        os.unlink(marker)
    return 0


def _now() -> float:
    import time

    return time.time()
