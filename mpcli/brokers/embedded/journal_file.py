"""The journal's file: made, checked, and set aside when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from mpcli.brokers.embedded.journal import Journal
from mpcli.errors import BrokerUnavailable

_FORMAT = 1
_SCHEMA = """
CREATE TABLE vhost (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE exchange (vhost TEXT, name TEXT, kind TEXT, auto_delete INTEGER, internal INTEGER, arguments BLOB,
    PRIMARY KEY (vhost, name)) WITHOUT ROWID;
CREATE TABLE queue (id INTEGER PRIMARY KEY, vhost TEXT, name TEXT, kind TEXT, auto_delete INTEGER, arguments BLOB);
CREATE TABLE binding (vhost TEXT, source TEXT, kind TEXT, destination TEXT, key TEXT, arguments BLOB,
    PRIMARY KEY (vhost, source, kind, destination, key, arguments)) WITHOUT ROWID;
CREATE TABLE message (id INTEGER PRIMARY KEY, queue INTEGER, exchange TEXT, key TEXT, extra_keys TEXT,
    persistent INTEGER, priority INTEGER, expires REAL, count INTEGER, header BLOB, body BLOB);
"""


# What the disk or the system says, and no damage.
_AROUND_IT = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
Signal = Callable[[], None]


def open_journal(folder: Path, on_pending: Signal, on_touched: Signal) -> tuple[Journal, str]:
    """The journal in `folder`, and a message when a damaged one had to be set aside (else empty).

    Raises `BrokerUnavailable` when the folder cannot be used or another broker uses it.
    """
    file = folder / "journal.sqlite3"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Journal(_open(file), on_pending, on_touched), ""
    except (sqlite3.DatabaseError, ValueError) as error:
        _refuse_if_sound(file, error)
        return start_anew(folder, error, on_pending, on_touched)
    except (FileExistsError, NotADirectoryError) as error:
        raise BrokerUnavailable(f"{folder} is not a folder", "use a folder that can be written") from error
    except OSError as error:
        raise BrokerUnavailable(f"{folder}: {error.strerror}", "use a folder that can be written") from error


def _refuse_if_sound(file: Path, error: Exception) -> None:
    """Raise `BrokerUnavailable` when it is not the file that is at fault: it must stay where it is."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the primary one
    if code == sqlite3.SQLITE_BUSY:
        raise BrokerUnavailable(f"{file} is in use by another broker", "stop it, or use another folder") from error
    if code in _AROUND_IT:
        raise BrokerUnavailable(f"{file}: {error}", "use a folder that can be written, on a disk with room") from error


def start_anew(folder: Path, error: Exception, on_pending: Signal, on_touched: Signal) -> tuple[Journal, str]:
    """Set the damaged file aside and begin an empty one. Returns it and what to tell."""
    file = folder / "journal.sqlite3"
    kept = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{file}{suffix}")
        if part.exists():
            part.replace(f"{kept}{suffix}")
    note = f"{file} could not be read ({error}): set aside as {kept.name}, starting empty"
    return Journal(_open(file), on_pending, on_touched), note


def _open(file: Path) -> sqlite3.Connection:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)
    db = sqlite3.connect(file, isolation_level="DEFERRED", timeout=0.2)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # The lock is held as long as the broker lives: two of them on one file would hand out the same message twice.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_FORMAT}")
        db.commit()
    elif version != _FORMAT:
        raise ValueError(f"written by another version (format {version})")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
