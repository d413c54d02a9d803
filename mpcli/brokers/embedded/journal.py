"""What survives a restart: durable exchanges, queues, bindings and messages, in one SQLite file.

Everything between two commits is one transaction; its owner commits before it sends a confirm. With
`synchronous=NORMAL` in WAL mode a committed transaction survives the death of the process (`kill -9`), not a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.journal_rows import StoredQueue, binding_row, entry_of, message_row, name_of, stored_name
from mpcli.brokers.embedded.message import Entry
from mpcli.brokers.embedded.null_journal import JournalFailed, NullJournal
from mpcli.wire.codec import Table, decode_table, encode_table

if TYPE_CHECKING:
    from mpcli.brokers.embedded.exchange import Binding, Exchange
    from mpcli.brokers.embedded.queue import Queue

_INSERT = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?)"


class Journal(NullJournal):
    """The file, and what of it is not committed yet.

    `on_pending` is called when a transaction begins to fill, so that its owner commits it some time later,
    `on_touched` when there are delivery counts to write, so that its owner calls `commit_touched` some time later.
    `on_failure` is called when the file cannot be written, wherever that is found out; until its owner sets it, that
    raises `JournalFailed`.
    """

    def __init__(
        self, connection: sqlite3.Connection, on_pending: Callable[[], None], on_touched: Callable[[], None]
    ) -> None:
        self._db = connection
        self._on_touched = on_touched
        self._on_pending = on_pending
        self.on_failure = _raise
        self._added: dict[int, tuple[int, Entry]] = {}
        self._removed: list[int] = []
        self._touched: dict[int, int] = {}
        self._touch_awaited = False
        self._last_queue = connection.execute("SELECT coalesce(max(id), 0) FROM queue").fetchone()[0]
        self.pending = False

    @property
    def last_position(self) -> int:
        """The highest position ever given to a message that is still there."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0])

    # -- messages --------------------------------------------------------------------------------------------------

    def add(self, queue: int, entry: Entry) -> None:
        """Write it with the next commit, unless it is gone by then."""
        entry.stored = True
        self._added[entry.position] = (queue, entry)
        if not self.pending:
            self._begin()

    def remove(self, entry: Entry) -> None:
        """Delete it with the next commit."""
        self._touched.pop(entry.position, None)
        # Taken before it was ever written: nothing to write, and nothing to delete.
        if self._added.pop(entry.position, None) is None:
            self._removed.append(entry.position)
            if not self.pending:
                self._begin()

    def touch(self, entry: Entry, count: int) -> None:
        """Write this as its delivery count soon, if it is not gone by then: most are."""
        if not self._touch_awaited:
            self._touch_awaited = True
            self._on_touched()
        self._touched[entry.position] = count

    def _begin(self) -> None:
        self.pending = True
        self._on_pending()

    def commit(self) -> None:
        """One transaction."""
        if not self.pending:
            return
        self.pending = False
        try:
            self._commit(self._db)
        except sqlite3.Error as error:
            self._failed(error)

    def _commit(self, db: sqlite3.Connection) -> None:
        if self._added:
            db.executemany(_INSERT, [message_row(queue, entry) for queue, entry in self._added.values()])
            self._added.clear()
        if self._removed:
            db.executemany("DELETE FROM message WHERE id BETWEEN ? AND ?", _runs(sorted(self._removed)))
            self._removed.clear()
        db.commit()

    def _failed(self, error: sqlite3.Error) -> None:
        failure = JournalFailed(f"the journal cannot be written: {error}", "is the disk full?")
        failure.__cause__ = error
        self.on_failure(failure)

    def commit_touched(self) -> None:
        """Write the delivery counts."""
        self._touch_awaited = False
        if not self._touched:
            return
        self.commit()  # what is not there yet could not be counted
        counts = [(count, position) for position, count in self._touched.items()]
        self._touched.clear()
        try:
            self._db.executemany("UPDATE message SET count = ? WHERE id = ?", counts)
            self._db.commit()
        except sqlite3.Error as error:
            self._failed(error)

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self.commit_touched()
        self._db.close()

    # -- entities: each is committed at once, before the client hears that it exists -------------------------------

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        self.pending = True
        try:
            for sql, values in statements:
                self._db.execute(sql, values)
        except sqlite3.Error as error:
            self._failed(error)
            return
        self.commit()

    def save_vhost(self, name: str) -> None:
        """Write it."""
        self._write(("INSERT OR IGNORE INTO vhost VALUES (?)", (name,)))

    def delete_vhost(self, name: str) -> None:
        """Delete it and all in it."""
        self._write(
            ("DELETE FROM queue WHERE vhost = ?", (name,)),
            ("DELETE FROM binding WHERE vhost = ?", (name,)),
            ("DELETE FROM exchange WHERE vhost = ?", (name,)),
            ("DELETE FROM vhost WHERE name = ?", (name,)),
        )

    def save_exchange(self, vhost: str, exchange: Exchange) -> None:
        """Write it."""
        values = (
            vhost,
            stored_name(exchange.name),
            exchange.kind,
            exchange.auto_delete,
            exchange.internal,
            encode_table(exchange.arguments),
        )
        self._write(("INSERT OR REPLACE INTO exchange VALUES (?,?,?,?,?,?)", values))

    def delete_exchange(self, vhost: str, name: str) -> None:
        """Delete it and its bindings."""
        key = (vhost, stored_name(name))
        self._write(
            ("DELETE FROM exchange WHERE vhost = ? AND name = ?", key),
            ("DELETE FROM binding WHERE vhost = ? AND source = ?", key),
            ("DELETE FROM binding WHERE vhost = ? AND kind = 'exchange' AND destination = ?", key),
        )

    def save_binding(self, vhost: str, source: str, binding: Binding) -> None:
        """Write it."""
        self._write(("INSERT OR IGNORE INTO binding VALUES (?,?,?,?,?,?)", binding_row(vhost, source, binding)))

    def delete_binding(self, vhost: str, source: str, binding: Binding) -> None:
        """Delete it."""
        sql = (
            "DELETE FROM binding WHERE vhost = ? AND source = ? AND kind = ? AND destination = ? AND key = ?"
            " AND arguments = ?"
        )
        self._write((sql, binding_row(vhost, source, binding)))

    def save_queue(self, vhost: str, queue: Queue) -> int:
        """Write it. Returns its number."""
        self._last_queue += 1
        values = (
            self._last_queue,
            vhost,
            stored_name(queue.name),
            queue.kind,
            queue.auto_delete,
            encode_table(queue.arguments),
        )
        self._write(("INSERT INTO queue VALUES (?,?,?,?,?,?)", values))
        return int(self._last_queue)

    def delete_queue(self, vhost: str, queue: Queue) -> None:
        """Delete it, its messages and bindings."""
        self._write(
            ("DELETE FROM queue WHERE id = ?", (queue.journal_id,)),
            (
                "DELETE FROM binding WHERE vhost = ? AND kind = 'queue' AND destination = ?",
                (vhost, stored_name(queue.name)),
            ),
        )

    # -- reading, once, at the start -------------------------------------------------------------------------------

    def vhosts(self) -> list[str]:
        """The virtual hosts."""
        return [name for (name,) in self._db.execute("SELECT name FROM vhost")]

    def exchanges(self) -> Iterator[tuple[str, str, str, bool, bool, Table]]:
        """Virtual host, name, type, auto-delete, internal, arguments of each exchange."""
        for vhost, name, kind, auto_delete, internal, arguments in self._db.execute("SELECT * FROM exchange"):
            yield vhost, name_of(name), kind, bool(auto_delete), bool(internal), decode_table(arguments)[0]

    def queues(self) -> list[StoredQueue]:
        """The queues, in the order of their declaration."""
        rows = self._db.execute("SELECT id, vhost, name, kind, auto_delete, arguments FROM queue ORDER BY id")
        stored = [StoredQueue(row) for row in rows]
        for queue in stored:
            queue.name = name_of(queue.name)
        return stored

    def bindings(self) -> Iterator[tuple[str, str, str, str, str, Table]]:
        """Virtual host, source, kind and name of the destination, key, arguments of each binding."""
        for vhost, source, kind, destination, key, arguments in self._db.execute("SELECT * FROM binding"):
            yield vhost, name_of(source), kind, name_of(destination), name_of(key), decode_table(arguments)[0]

    def messages(self) -> Iterator[tuple[int, Entry]]:
        """The number of the queue and the entry of each message, in order."""
        # A queue that was deleted may have left some that were unacknowledged then.
        self._write(("DELETE FROM message WHERE queue NOT IN (SELECT id FROM queue)", ()))
        for row in self._db.execute("SELECT * FROM message ORDER BY id"):
            yield entry_of(row)


def _raise(failure: JournalFailed) -> None:
    raise failure


def _runs(positions: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours: what is taken in order is deleted at one stroke."""
    first = last = positions[0]
    for position in positions:
        if position > last + 1:
            yield first, last
            first = position
        last = position
    yield first, last
