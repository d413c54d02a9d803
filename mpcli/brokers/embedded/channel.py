"""A channel: what it publishes, what was delivered on it and is not settled yet, what it owes."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, cast

from mpcli.brokers.embedded import frames
from mpcli.brokers.embedded.queue import REJECTED, STORED
from mpcli.brokers.embedded.refusal import Refusal, precondition
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CANCEL,
    BASIC_GET_OK,
    BASIC_NACK,
    BASIC_RETURN,
    CHANNEL_CLOSE,
    Method,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.connection import Connection
    from mpcli.brokers.embedded.consumers import Consumer
    from mpcli.brokers.embedded.message import Entry, Message
    from mpcli.brokers.embedded.queue import Queue

_TAG_AND_REDELIVERED = Struct(">Q?")
_COUNT = Struct(">I")
_RETURN_START = BASIC_RETURN.prefix + b"\x01\x38\x08NO_ROUTE"  # reply code 312

# Tag, queue, entry, and the consumer (None for basic.get).
Delivery = tuple[int, "Queue", "Entry", "Consumer | None"]
# A message, whether it must not get lost, and where it goes.
Publish = tuple["Message", bool, tuple["Queue", ...]]
# What a transaction holds back: publish, ack, requeue or reject, and of what.
Pending = tuple[str, "Publish | list[Delivery]"]


class Channel:
    """One channel of a connection."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.vhost = connection.open_vhost
        self.broker = connection.broker
        # After an error the client still has to answer: until then all it sends is ignored.
        self.closing = False
        self.last_queue = ""
        self.consumers: dict[str, Consumer] = {}
        self.unacked: dict[int, Delivery] = {}
        self.next_tag = 1
        self.prefetch = 0
        self.global_limit = 0
        self.global_unacked = 0
        # Whose turn among its queues it is, when the shared count makes room.
        self._turn = 0
        # Direct reply-to: the key that leads here, the consumer's tag, the start of its deliver methods.
        self.reply_key = ""
        self.reply_tag = ""
        self.reply_consumer = b""
        self.confirming = False
        self.published = 0
        self.confirmed = 0
        self.rejected: list[int] = []
        self.waits_for_commit = False
        self.tx: list[Pending] | None = None

    # -- out -------------------------------------------------------------------------------------------------------

    def send(self, method: Method, *values: object) -> None:
        """Send a method."""
        self.connection.send(method.frame(self.number, *values))

    def deliver(self, consumer: Consumer, queue: Queue, entry: Entry) -> None:
        """Send a message to a consumer of this channel."""
        tag = self.next_tag
        self.next_tag = tag + 1
        if not consumer.no_ack:
            self.unacked[tag] = (tag, queue, entry, consumer)
            consumer.unacked += 1
            self.global_unacked += 1
        message = queue.outgoing(entry) if entry.count else entry.message
        method = consumer.prefix + _TAG_AND_REDELIVERED.pack(tag, entry.count > 0) + message.address
        connection = self.connection
        connection.send(frames.content(self.number, method, message.header, message.body, connection.frame_max))

    def deliver_got(self, queue: Queue, entry: Entry, no_ack: bool) -> None:
        """Answer basic.get."""
        tag = self.next_tag
        self.next_tag = tag + 1
        message = queue.outgoing(entry)
        if no_ack:
            queue.forget(entry)
        else:
            self.unacked[tag] = (tag, queue, entry, None)
        method = (
            BASIC_GET_OK.prefix
            + _TAG_AND_REDELIVERED.pack(tag, entry.count > 0)
            + message.address
            + _COUNT.pack(queue.backlog.count)
        )
        self._send_content(method, message)

    def deliver_reply(self, message: Message) -> None:
        """Send a direct reply. It takes no delivery tag of its own: nobody acknowledges it."""
        method = self.reply_consumer + _TAG_AND_REDELIVERED.pack(self.next_tag, False) + message.address
        self._send_content(method, message)

    def _send_content(self, method: bytes, message: Message) -> None:
        connection = self.connection
        connection.send(frames.content(self.number, method, message.header, message.body, connection.frame_max))

    # -- publishing ------------------------------------------------------------------------------------------------

    def publish(self, message: Message, mandatory: bool, targets: tuple[Queue, ...]) -> bool:
        """Put a message into the queues, return it when it must not get lost, and note what is to be confirmed.

        True when a queue was too full to take it.
        """
        if not message.exchange and message.key in self.broker.replies:
            # It counts as unroutable all the same: with `mandatory` it comes back too.
            self.broker.replies[message.key].deliver_reply(message)
        if not targets and mandatory:
            self._send_content(_RETURN_START + message.address, message)
        outcome = self.vhost.deliver(message, targets)
        if outcome & STORED:
            self.waits_for_commit = True
        rejected = outcome >= REJECTED
        self._published(rejected)
        return rejected

    def _published(self, rejected: bool = False) -> None:
        if self.confirming:
            self.published += 1
            if rejected:
                self.rejected.append(self.published)
            self.connection.publishers[self] = None

    def settle(self) -> None:
        """The turn ends: confirm now, or when the journal has committed."""
        if self.waits_for_commit:
            self.waits_for_commit = False
            self.broker.after_commit(self)
        elif not self.broker.owes_confirm(self):
            self.confirm()

    def confirm(self) -> None:
        """Confirm everything that was published so far."""
        first, last = self.confirmed + 1, self.published
        if self.closing or last < first:
            return
        self.confirmed = last
        if not self.rejected:
            self.send(BASIC_ACK, last, last > first)
            return
        rejected, self.rejected = self.rejected, []
        accepted = sorted(set(range(first, last + 1)).difference(rejected))
        if len(accepted) == 1:
            self.send(BASIC_ACK, accepted[0], False)
        else:
            self._settle_some(BASIC_ACK, accepted, rejected, ())
        self._settle_some(BASIC_NACK, rejected, accepted, (True,))

    def _settle_some(self, method: Method, tags: list[int], others: list[int], more: tuple[bool, ...]) -> None:
        """All tags before the first of the others at once, the rest one by one: that is how RabbitMQ does it."""
        end = min(others, default=self.published + 1)
        together = [tag for tag in tags if tag < end]
        if together:
            self.send(method, together[-1], True, *more)
        for tag in tags[len(together) :]:
            self.send(method, tag, False, *more)

    # -- what was delivered ----------------------------------------------------------------------------------------

    def take(self, tag: int, multiple: bool) -> list[Delivery]:
        """The deliveries that a tag names, no longer unacknowledged. Raises `Refusal` for an unknown tag."""
        if tag not in self.unacked:
            if tag == 0 and multiple:
                taken = list(self.unacked.values())
                self.unacked.clear()
                return self._released(taken)
            raise precondition(f"unknown delivery tag {tag}")
        if not multiple:
            return self._released([self.unacked.pop(tag)])
        tags = []
        for known in self.unacked:
            tags.append(known)
            if known == tag:
                break
        return self._released([self.unacked.pop(known) for known in tags])

    def _released(self, taken: list[Delivery]) -> list[Delivery]:
        for _, _, _, consumer in taken:
            if consumer is not None:
                consumer.unacked -= 1
                self.global_unacked -= 1
        return taken

    def untake(self, deliveries: list[Delivery]) -> None:
        """Undo `take`."""
        for delivery in deliveries:
            consumer = delivery[3]
            self.unacked[delivery[0]] = delivery
            if consumer is not None:
                consumer.unacked += 1
                self.global_unacked += 1
        self.unacked = dict(sorted(self.unacked.items()))

    def drain(self, deliveries: list[Delivery]) -> None:
        """There is room again: deliver more from the queues that were held back."""
        if self.global_limit:
            self.drain_all()
        elif len(deliveries) == 1:
            if deliveries[0][1].backlog.count:
                deliveries[0][1].drain()
        else:
            for queue in {queue for _, queue, _, _ in deliveries}:
                queue.drain()

    def drain_all(self) -> None:
        """Deliver from all queues that are consumed on this channel, each time from another one first."""
        queues = list(dict.fromkeys(consumer.queue for consumer in self.consumers.values()))
        if queues:
            self._turn = (self._turn + 1) % len(queues)
        for queue in (*queues[self._turn :], *queues[: self._turn]):
            queue.drain()

    def acked(self, deliveries: list[Delivery]) -> None:
        """The client is done with them."""
        for _, queue, entry, _ in deliveries:
            queue.forget(entry)
        self.drain(deliveries)

    def returned(self, deliveries: list[Delivery], requeue: bool) -> None:
        """The client gives them back, to be delivered again or never."""
        # As in RabbitMQ: consumer by consumer, by their tags, and first what was fetched.
        groups: dict[tuple[str, Queue], list[Entry]] = {}
        for _, queue, entry, consumer in deliveries:
            groups.setdefault((consumer.tag if consumer is not None else "", queue), []).append(entry)
        for (_, queue), entries in sorted(groups.items(), key=lambda group: group[0][0]):
            if requeue:
                queue.requeue(entries, asked=True)
            else:
                queue.reject(entries)
        self.drain(deliveries)

    # -- the end ---------------------------------------------------------------------------------------------------

    def queue_is_gone(self, consumer: Consumer) -> None:
        """Its queue was deleted: the consumer is no more."""
        self.consumers.pop(consumer.tag, None)
        if self.connection.capable("consumer_cancel_notify"):
            self.broker.cancel_later(self, consumer.tag)

    def notify_cancel(self, tag: str) -> None:
        """Tell the client that its consumer is no more."""
        if not self.closing:
            self.send(BASIC_CANCEL, tag, True)

    def forget_reply(self) -> None:
        """Stop waiting for direct replies."""
        self.broker.replies.pop(self.reply_key, None)
        self.reply_key, self.reply_consumer = "", b""

    def cancel_all(self) -> None:
        """Nothing more is delivered to its consumers."""
        consumers = list(self.consumers.values())
        self.consumers.clear()
        for consumer in consumers:
            consumer.queue.remove_consumer(consumer)

    def release(self) -> None:
        """Give back all that is not settled and cancel all consumers. Nothing is sent on the channel any more."""
        if self.closing:
            return
        self.closing = True
        self.forget_reply()
        held, self.tx = self.tx or [], None
        for action, what in held:
            if action != "publish":
                self.untake(cast("list[Delivery]", what))
        self.cancel_all()
        by_queue: dict[Queue, list[Entry]] = {}
        for _, queue, entry, _ in self.unacked.values():
            by_queue.setdefault(queue, []).append(entry)
        self.unacked.clear()
        for queue, entries in by_queue.items():
            queue.requeue(entries, asked=False)

    def refuse(self, refusal: Refusal, method: int) -> None:
        """Close the channel because of what it asked for."""
        self.broker.journal.commit()
        self.confirm()
        self.release()
        self.send(CHANNEL_CLOSE, refusal.code, refusal.text, method >> 16, method & 0xFFFF)
