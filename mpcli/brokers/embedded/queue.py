"""A queue: what waits in it, who gets it, and what becomes of what nobody takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.arguments import QUORUM, Settings
from mpcli.brokers.embedded.backlog import Backlog, QuorumBacklog
from mpcli.brokers.embedded.consumers import Consumer, Consumers
from mpcli.brokers.embedded.deadletter import dead_letter
from mpcli.brokers.embedded.message import Entry, Message
from mpcli.wire.codec import Table, Typed

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from mpcli.brokers.embedded.connection import Connection
    from mpcli.brokers.embedded.exchange import Exchange
    from mpcli.brokers.embedded.vhost import VHost

# What became of a publish, as bits.
ROUTED, STORED, REJECTED = 1, 2, 4


class Queue:
    """Declared by a client, or read from the journal. `owner` is the connection of an exclusive queue."""

    resource_kind = "queue"

    def __init__(
        self,
        vhost: VHost,
        name: str,
        kind: str,
        *,
        durable: bool,
        owner: Connection | None,
        auto_delete: bool,
        arguments: Table,
    ) -> None:
        self.vhost = vhost
        self.name = name
        self.kind = kind
        self.durable = durable
        self.owner = owner
        self.auto_delete = auto_delete
        self.arguments = arguments
        self.settings = Settings(arguments)
        self.backlog = QuorumBacklog() if kind == QUORUM else Backlog(self.settings.max_priority)
        self.consumers = Consumers(self.settings.single_active)
        self.sources: set[Exchange] = set()
        self.deleted = False
        # Its key in the journal, 0 while it has none.
        self.journal_id = 0
        self._journal = vhost.broker.journal
        self._broker = vhost.broker
        # Whether a message ever came that can expire: else nobody need look.
        self._timed = False
        self._expiry: TimerHandle | None = None
        self._expiry_at = 0.0
        self._idle: TimerHandle | None = None
        self.touch()

    @property
    def resource(self) -> str:
        """How texts name it."""
        return f"queue '{self.name}' in vhost '{self.vhost.name}'"

    # -- in --------------------------------------------------------------------------------------------------------

    def publish(self, message: Message) -> int:
        """Take a message and hand it on when somebody is ready. Returns what became of it."""
        if self.settings.reject_publish and self._would_overflow(message):
            if self.settings.reject_to_dead_letter:
                dead_letter(self, message, "maxlen")
            return ROUTED | REJECTED
        entry = Entry(message, next(self._broker.positions), self._expires(message))
        # The whole message in each queue, though entries of several queues share its bytes, as in RabbitMQ: what is
        # held is never more than what is counted, and nobody need know who else has it.
        self._broker.memory += message.size
        consumer = None if self.backlog.count else self.consumers.next_ready()
        if consumer is not None and consumer.no_ack:
            self._hand_over(entry, consumer)
            return ROUTED
        outcome = ROUTED
        if self.journal_id and (message.persistent or self.kind == QUORUM):
            self._journal.add(self.journal_id, entry)
            outcome |= STORED
        if consumer is not None:
            self._hand_over(entry, consumer)
        else:
            self.backlog.append(entry)
            self._after_growth(entry)
        return outcome

    def restore(self, entry: Entry) -> None:
        """Put back what the journal kept, in the order of its positions."""
        self._broker.memory += entry.message.size
        self.backlog.append(entry)
        if entry.expires:
            self._timed = True
            self._schedule_expiry()

    def _expires(self, message: Message) -> float:
        ttl, own = self.settings.ttl, message.ttl
        if own is not None and (ttl is None or own < ttl):
            ttl = own
        if ttl is None:
            return 0.0
        self._timed = True
        return time.time() + ttl

    def _would_overflow(self, message: Message) -> bool:
        settings, backlog = self.settings, self.backlog
        return (settings.max_length is not None and backlog.count + 1 > settings.max_length) or (
            settings.max_bytes is not None and backlog.size + len(message.body) > settings.max_bytes
        )

    def _after_growth(self, entry: Entry) -> None:
        if self.settings.drops_head:
            self._drop_head()
        if entry.expires:
            self._expire()

    def _drop_head(self) -> None:
        # With priorities, as in RabbitMQ, the head is the oldest of the highest one.
        settings, backlog = self.settings, self.backlog
        while backlog.count and (
            (settings.max_length is not None and backlog.count > settings.max_length)
            or (settings.max_bytes is not None and backlog.size > settings.max_bytes)
        ):
            self._bury(backlog.pop(), "maxlen")

    # -- out -------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Hand out what waits, as long as somebody is ready."""
        while self.backlog.count and not self.deleted:
            consumer = self.consumers.next_ready()
            entry = self._pop() if consumer is not None else None
            if consumer is None or entry is None:
                return
            self._hand_over(entry, consumer)

    def get(self) -> Entry | None:
        """Take the next message without a consumer; it counts as handed out."""
        self.touch()
        entry = self._pop()
        if entry is not None and entry.stored:
            self._journal.touch(entry, entry.count + 1)
        return entry

    def _pop(self) -> Entry | None:
        if not self._timed:
            return self.backlog.pop() if self.backlog.count else None
        self._expire()
        entry = self.backlog.pop() if self.backlog.count else None
        # What stood behind it and has had its time goes now, though nobody asks for it.
        self._expire()
        return entry

    def _hand_over(self, entry: Entry, consumer: Consumer) -> None:
        consumer.channel.deliver(consumer, self, entry)
        if consumer.no_ack:
            self.forget(entry)
        elif entry.stored:
            self._journal.touch(entry, entry.count + 1)

    def outgoing(self, entry: Entry) -> Message:
        """The message as it is sent: a quorum queue says how often it came back."""
        if self.kind == QUORUM:
            return entry.message.with_header("x-delivery-count", Typed("l", entry.count))
        return entry.message

    # -- what comes back -------------------------------------------------------------------------------------------

    def forget(self, entry: Entry) -> None:
        """Done with it: acknowledged, purged or handed to a consumer that does not acknowledge."""
        self._broker.memory -= entry.message.size
        if entry.stored:
            self._journal.remove(entry)

    def requeue(self, entries: list[Entry], *, asked: bool) -> None:
        """Handed out and come back: to the old place, or to the dead letters after too many times.

        `asked` says that the client gave them back, and did not just end: a quorum queue without a delivery limit then
        puts them at its end, so that one that nobody can work on does not hold up the others.
        """
        if self.deleted:
            for entry in entries:
                self.forget(entry)
            return
        limit = self.settings.delivery_limit if self.kind == QUORUM else None
        kept = []
        for entry in entries:
            entry.count += 1
            if limit is not None and entry.count > limit:
                self._bury(entry, "delivery_limit")
            else:
                kept.append(entry)
                if entry.stored:
                    self._journal.touch(entry, entry.count)
        if asked and self.kind == QUORUM and limit is None:
            for entry in kept:
                self._put_last(entry)
        else:
            self.backlog.restore(kept)
        # What came back may be too much: a classic queue sees to that before it delivers, a quorum queue after.
        if self.settings.drops_head and self.kind != QUORUM:
            self._drop_head()
        self._expire()
        self.drain()
        if self.settings.drops_head:
            self._drop_head()

    def _put_last(self, entry: Entry) -> None:
        stored = entry.stored
        if stored:
            self._journal.remove(entry)
        entry.position = next(self._broker.positions)
        if stored:
            self._journal.add(self.journal_id, entry)
        self.backlog.append(entry)

    def reject(self, entries: list[Entry]) -> None:
        """Refused by a consumer for good."""
        for entry in entries:
            self._bury(entry, "rejected")

    def _bury(self, entry: Entry, reason: str) -> None:
        if not self.deleted:
            dead_letter(self, entry.message, reason)
        self.forget(entry)

    def purge(self) -> int:
        """Forget all that waits."""
        entries = self.backlog.clear()
        for entry in entries:
            self.forget(entry)
        return len(entries)

    # -- time ------------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        if self.deleted:
            return
        now = time.time()
        while (entry := self.backlog.pop_expired(now)) is not None:
            self._bury(entry, "expired")
        self._schedule_expiry()

    def _schedule_expiry(self) -> None:
        head = self.backlog.head()
        if head is None or not head.expires:
            return
        if self._expiry is not None:
            if self._expiry_at <= head.expires:
                return  # it will look again then
            self._expiry.cancel()
        self._expiry_at = head.expires
        self._expiry = self._broker.later(max(0.0, head.expires - time.time()), self._expiry_due)

    def _expiry_due(self) -> None:
        self._expiry = None
        self._expire()

    def touch(self) -> None:
        """It is in use: the time until an unused queue is deleted begins anew."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self.settings.expires is not None and not self.consumers.count and not self.deleted:
            self._idle = self._broker.later(self.settings.expires, self._idle_too_long)

    def _idle_too_long(self) -> None:
        if not self.consumers.count:
            self.vhost.delete_queue(self)

    # -- consumers -------------------------------------------------------------------------------------------------

    def add_consumer(self, consumer: Consumer) -> None:
        """Begin to deliver to it; what waits is delivered by the next `drain`."""
        self.consumers.add(consumer)
        self.touch()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Deliver no more to it. An auto-delete queue goes with its last one."""
        if self.deleted:
            return
        self.consumers.remove(consumer)
        if self.auto_delete and not self.consumers.count:
            self.vhost.delete_queue(self)
            return
        self.touch()
        if self.settings.single_active:
            self.drain()

    def close(self) -> None:
        """It was deleted: stop its timers, forget what waits."""
        self.deleted = True
        for timer in (self._expiry, self._idle):
            if timer is not None:
                timer.cancel()
        self._expiry = self._idle = None
        self.purge()
