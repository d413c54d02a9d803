"""The service's SQLite file. Each process of both workers opens it for itself; SQLite does the locking."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_folder() -> Path:
    """Where the service keeps its files: what {{ cookiecutter.env }}_DATA names, else `.data` in the current folder."""
    folder = Path(os.environ.get("{{ cookiecutter.env }}_DATA", ".data"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def transaction(schema: str) -> Iterator[sqlite3.Connection]:
    """A connection in a transaction: committed at the end of the block, rolled back when the block raises."""
    file = data_folder() / "{{ cookiecutter.service }}.sqlite3"
    file.touch(mode=0o600)
    connection = sqlite3.connect(file, timeout=10, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute(schema)
        # Not the default, which reads first and may then find the file locked by another reader that wants to write.
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()
