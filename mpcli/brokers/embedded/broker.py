"""The broker's state, without its sockets: virtual hosts, users, connections, memory, journal."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.exchange import Binding, Exchange
from mpcli.brokers.embedded.journal import Journal
from mpcli.brokers.embedded.journal_file import open_journal, start_anew
from mpcli.brokers.embedded.limits import Limits
from mpcli.brokers.embedded.null_journal import JournalFailed, NullJournal
from mpcli.brokers.embedded.queue import Queue
from mpcli.brokers.embedded.vhost import VHost
from mpcli.errors import ProtocolError
from mpcli.wire.codec import Table

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel
    from mpcli.brokers.embedded.connection import Connection
    from mpcli.brokers.embedded.journal_rows import StoredQueue
    from mpcli.brokers.embedded.link import Link

# Seconds after which the journal knows that a message was handed out. Most are acknowledged sooner.
_TOUCHED = 0.1
# Seconds after which the journal commits when nobody waits for a confirm. What is acknowledged sooner never gets there.
_LAZY = 0.01
_INBOX = 256 * 1024
REPLY_TO = "amq.rabbitmq.reply-to"


class Broker:
    """One broker. Lives on one event loop and is touched by that loop's thread alone."""

    def __init__(self, users: dict[str, str], limits: Limits, data: Path | None = None) -> None:
        self.users = users
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        # What a client sent is copied out of it at once.
        self.inbox = memoryview(bytearray(_INBOX))
        self.positions = itertools.count(1)
        self.connections: set[Connection] = set()
        self.vhosts: dict[str, VHost] = {}
        # Direct reply-to: the routing key of a reply -> the channel that waits for it.
        self.replies: dict[str, Channel] = {}
        # What happened at the start that its owner should read.
        self.notes: list[str] = []
        self.journal: NullJournal = NullJournal()
        self.memory = 0
        self.failure: JournalFailed | None = None
        self.failed = asyncio.Event()
        # Set while there are no connections.
        self.nobody = asyncio.Event()
        self.nobody.set()
        self._dirty: list[Link] = []
        self._unconfirmed: dict[Channel, None] = {}
        # Who waits for room, the one that has waited longest first.
        self._blocked: dict[Connection, None] = {}
        self._unblocking = False
        self._lazy: asyncio.TimerHandle | None = None
        self._cancelled: list[tuple[Channel, str]] = []
        if data is not None:
            self._recover(data)
        self.add_vhost("/")
        self.journal.on_failure = self.fail

    def came(self, connection: Connection) -> None:
        """A client connected."""
        self.connections.add(connection)
        self.nobody.clear()

    def went(self, connection: Connection) -> None:
        """Its socket is closed."""
        self.connections.discard(connection)
        self._blocked.pop(connection, None)
        if not self.connections:
            self.nobody.set()

    # -- one turn of the loop --------------------------------------------------------------------------------------

    def wrote(self, connection: Link) -> None:
        """The connection has output to be sent at the end of this turn."""
        self._dirty.append(connection)

    def flush(self) -> None:
        """Send what this turn produced: one write for each connection. Every entry from the loop ends with it."""
        cancelled, self._cancelled = self._cancelled, []
        for channel, tag in cancelled:
            channel.notify_cancel(tag)
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.flush()
        if self._blocked and not (self.full or self._unblocking):
            self._unblock()

    def later(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `action` after so many seconds."""

        def run() -> None:
            action()
            self.flush()

        return self.loop.call_later(seconds, run)

    def after_commit(self, channel: Channel) -> None:
        """The channel owes a confirm for something that the journal has not committed yet: it will, after this turn."""
        if not self._unconfirmed:
            self.loop.call_soon(self.commit)
        self._unconfirmed[channel] = None

    def cancel_later(self, channel: Channel, tag: str) -> None:
        """Tell the channel at the end of the turn: whoever deletes a queue hears of that first, as with RabbitMQ."""
        self._cancelled.append((channel, tag))

    def owes_confirm(self, channel: Channel) -> bool:
        """Whether a confirm of the channel waits for the journal."""
        return channel in self._unconfirmed

    def commit(self) -> None:
        """Commit the journal and send the confirms that waited for it."""
        self.journal.commit()
        waiting, self._unconfirmed = self._unconfirmed, {}
        for channel in waiting:
            channel.confirm()
        self.flush()

    # -- memory ----------------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether messages hold more than the memory mark."""
        return self.memory >= self.limits.memory

    def block(self, connection: Connection) -> None:
        """Stop reading from a publisher until there is room again."""
        self._blocked[connection] = None

    def _unblock(self) -> None:
        # One after the other, for what the first of them publishes may be all that there is room for.
        self._unblocking = True
        try:
            while self._blocked and not self.full:
                self.let_go_on(next(iter(self._blocked)))
        finally:
            self._unblocking = False
        self.flush()

    def let_go_on(self, connection: Connection) -> None:
        """Hear it again, if it is blocked."""
        if connection in self._blocked:
            del self._blocked[connection]
            connection.unblock()

    # -- virtual hosts and replies ---------------------------------------------------------------------------------

    def add_vhost(self, name: str) -> VHost:
        """The virtual host of that name, made when it was not there."""
        if name not in self.vhosts:
            self.vhosts[name] = VHost(self, name)
            self.journal.save_vhost(name)
        return self.vhosts[name]

    def delete_vhost(self, name: str) -> None:
        """Close its connections and forget all in it."""
        vhost = self.vhosts.pop(name, None)
        if vhost is None:
            return
        for connection in [connection for connection in self.connections if connection.vhost is vhost]:
            connection.force_close(f"vhost '{name}' is deleted")
        for queue in list(vhost.queues.values()):
            vhost.delete_queue(queue)
        self.journal.delete_vhost(name)
        self.flush()

    def held(self, vhost: str) -> dict[str, int]:
        """How many messages each queue holds, those that were delivered and not settled included."""
        counts = {name: queue.backlog.count for name, queue in self.vhosts[vhost].queues.items()}
        for connection in self.connections:
            if connection.vhost is self.vhosts[vhost]:
                for channel in connection.channels.values():
                    for _, queue, _, _ in channel.unacked.values():
                        if not queue.deleted:
                            counts[queue.name] += 1
        return counts

    def new_reply_key(self, channel: Channel) -> str:
        """A routing key that nobody can guess and that leads to this channel."""
        key = f"{REPLY_TO}.{secrets.token_urlsafe(24)}"
        self.replies[key] = channel
        return key

    # -- start and end ---------------------------------------------------------------------------------------------

    def _commit_later(self) -> None:
        if self._lazy is None:
            self._lazy = self.loop.call_later(_LAZY, self._commit_lazily)

    def _commit_lazily(self) -> None:
        self._lazy = None
        self.commit()

    def _commit_touched_later(self) -> None:
        self.loop.call_later(_TOUCHED, self._commit_touched)

    def _commit_touched(self) -> None:
        self.journal.commit_touched()

    def _recover(self, data: Path) -> None:
        journal, note = open_journal(data, self._commit_later, self._commit_touched_later)
        try:
            self._load(journal)
        except (sqlite3.Error, ProtocolError, LookupError, TypeError, ValueError) as error:
            # The file can be opened but what it says cannot be understood.
            journal.close()
            self.vhosts.clear()
            journal, note = start_anew(data, error, self._commit_later, self._commit_touched_later)
            self._load(journal)
        if note:
            self.notes.append(note)

    def _load(self, journal: Journal) -> None:
        self.journal = journal
        self.memory = 0
        for name in journal.vhosts():
            self.vhosts[name] = VHost(self, name)
        for vhost, name, kind, auto_delete, internal, arguments in journal.exchanges():
            self.vhosts[vhost].exchanges[name] = Exchange(
                name, kind, auto_delete=auto_delete, internal=internal, arguments=arguments
            )
        queues = {stored.id: self._recovered_queue(stored) for stored in journal.queues()}
        for vhost, source, kind, destination, key, arguments in journal.bindings():
            self._recover_binding(self.vhosts[vhost], source, kind, destination, key, arguments)
        self.positions = itertools.count(journal.last_position + 1)
        for queue_id, entry in journal.messages():
            if queue_id in queues:
                queues[queue_id].restore(entry)

    def _recovered_queue(self, stored: StoredQueue) -> Queue:
        vhost = self.vhosts[stored.vhost]
        queue = Queue(
            vhost,
            stored.name,
            stored.kind,
            durable=True,
            owner=None,
            auto_delete=stored.auto_delete,
            arguments=stored.arguments,
        )
        queue.journal_id = stored.id
        vhost.queues[stored.name] = queue
        return queue

    def _recover_binding(
        self, vhost: VHost, source: str, kind: str, destination: str, key: str, arguments: Table
    ) -> None:
        found = vhost.queues.get(destination) if kind == "queue" else vhost.exchanges.get(destination)
        if source in vhost.exchanges and found is not None:
            vhost.exchanges[source].add(Binding(found, key, arguments))

    def fail(self, error: JournalFailed) -> None:
        """The journal cannot be written: cut off all clients, so that nobody takes silence for a confirm."""
        self.failure = error
        self.journal = NullJournal()
        for connection in list(self.connections):
            connection.abort()
        self.failed.set()

    def close(self) -> None:
        """Commit and let go of the journal. The connections must be gone."""
        self.journal.close()
        self.journal = NullJournal()
