"""Looking at the messages that wait in a queue, and leaving them where they are.

A look is not free: messages are taken and given back, which workers, and the queue itself, can notice. What it costs
on this queue is found out, told and, where it could decide a message's fate, refused before anything is taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from time import monotonic, time

from mpcli.errors import ProtocolError, SafetyRefusal, UsageError
from mpcli.platform.contexts import Ask, Context, allow_write, resolve
from mpcli.recording.format import DEAD, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.parameters import parameter_names
from mpcli.verbs.queue_place import QueuePlace, held, locate, traits_of
from mpcli.verbs.seen import Seen
from mpcli.verbs.where import Where
from mpcli.wire.codec import plain
from mpcli.wire.holding import Holding
from mpcli.wire.message import Message
from mpcli.wire.queue_traits import QUORUM, STREAM, UNKNOWN, Traits
from mpcli.words import counted

LIMIT, SCAN = 10, 1000
# A message that has no more deliveries left than this is not looked at where the broker's own limit counts.
_LAST_LIVES = 2


class Cost:
    """What is known before anything is taken, and what the look will cost.

    `take` messages will be held for a moment, of `ready` that wait; `type` is the queue's. `delivery_limit` is None
    where there is none.
    """

    __slots__ = (
        "broker",
        "consumers",
        "dead_letters_to",
        "delivery_limit",
        "parameters",
        "queue",
        "ready",
        "take",
        "type",
    )

    def __init__(self, place: QueuePlace, holding: Holding, traits: Traits, take: int) -> None:
        self.queue = place.queue
        self.broker = str(place.broker)
        self.type = traits.type
        self.ready = holding.ready
        self.consumers = holding.consumers
        self.take = min(take, holding.ready)
        self.delivery_limit = traits.delivery_limit
        self.dead_letters_to = traits.dead_letter_exchange
        # Names of the parameters of each task, for whoever shows the messages.
        self.parameters: dict[str, list[str]] = {}


class Peeked:
    """The messages, in the order in which they wait."""

    __slots__ = ("items",)

    def __init__(self, items: list[Seen]) -> None:
        self.items = items


class PeekSummary:
    """How it went: how many were `held`, for how many `seconds`, the counts `before` and `after`.

    `died` were given back beyond the queue's delivery limit, `left` is the fewest deliveries that a message has left
    now (None where nothing limits them). `failures` counts messages on which --where raised, `failure` is the last
    reason.
    """

    __slots__ = ("after", "before", "died", "failure", "failures", "held", "left", "saved", "seconds", "shown")

    def __init__(self, before: int) -> None:
        self.before = before
        self.after = before
        self.held = self.shown = self.died = self.failures = 0
        self.left: int | None = None
        self.seconds = 0.0
        self.failure = self.saved = ""


PeekEvent = Cost | Peeked | PeekSummary


def peek(
    start: Path,
    queue: str,
    *,
    limit: int = LIMIT,
    where: str = "",
    scan: int = SCAN,
    spend: bool = False,
    save: Path | None = None,
    broker: str = "",
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
) -> Generator[PeekEvent, None, None]:
    """The first `limit` messages that wait in `queue`, or the first that `where` wants among `scan` of them.

    All are given back before the first is shown, at their old places. `spend` allows a look that uses up a delivery of
    a limited queue. Raises, before anything is taken, `SafetyRefusal`, `UsageError`, `NotFound`, `BrokerError`.
    """
    condition = Where(where) if where else None
    around = resolve(start, context)
    place = locate(around, queue, broker)
    with held(around, place, f"mp peek {queue}") as holding:
        traits = traits_of(around, place, holding)
        cost = Cost(place, holding, traits, scan if condition else limit)
        may_look(cost, traits, spend, save is not None)
        ask_leave(around, cost, yes, ask)
        cost.parameters = parameter_names(start)
        yield cost
        summary = PeekSummary(holding.ready)
        look = Look(holding, place, traits)
        with Writer(save) if save else nullcontext() as writer:
            items = look.take(cost.take, limit, condition)
            if writer is not None:
                writer.write([Entry(seen.kind, seen.at, seen.broker, seen.message) for seen in look.to_save])
        look.give_back(summary)
    summary.shown, summary.saved = len(items), str(save or "")
    if condition is not None:
        summary.failures, summary.failure = condition.failures, condition.failure
    yield Peeked(items)
    yield summary


def may_look(cost: Cost, traits: Traits, spend: bool, saved: bool) -> None:
    """Raises when the look itself could take a message from its queue and nobody said that it may."""
    if traits.type == STREAM:
        raise UsageError(f"{cost.queue} is a stream: reading one is not what mp does", "nothing was taken")
    if traits.type == UNKNOWN and not spend:
        raise SafetyRefusal(
            f"{cost.queue}: the broker does not tell this user what type of queue it is, and it may limit deliveries",
            "a look uses one up; --spend-delivery looks all the same",
        )
    if not traits.limit_set or traits.delivery_limit is None or not cost.take:
        return
    if not spend:
        raise SafetyRefusal(
            f"{cost.queue} is a quorum queue with a delivery limit of {traits.delivery_limit}: a look uses up one "
            "delivery of each message, and beyond the limit it becomes a dead letter",
            "`mp tail` looks without taking; --spend-delivery peeks all the same",
        )
    if traits.dead_letter_exchange is None and not saved:
        raise SafetyRefusal(
            f"{cost.queue} drops what is beyond its delivery limit of {traits.delivery_limit}: it has no dead letters",
            "add --save FILE, so that nothing is lost",
        )


def ask_leave(around: Context, cost: Cost, yes: bool, ask: Ask | None) -> None:
    """A look at what nobody consumes and nothing limits changes no message's fate; any other one is a change."""
    if cost.consumers or cost.delivery_limit is not None or cost.type == UNKNOWN:
        allow_write(
            around, f"look into {cost.queue}, which hides messages from workers for a moment and marks them", yes, ask
        )


class Look:
    """Messages of a queue, taken to be given back."""

    def __init__(self, holding: Holding, place: QueuePlace, traits: Traits) -> None:
        self._holding = holding
        self._place = place
        self._limit = traits.delivery_limit
        self._limit_set = traits.limit_set
        self._drops = traits.dead_letter_exchange is None
        self._keep_order = traits.type == QUORUM and traits.delivery_limit is None
        self._began = monotonic()
        # How often each was delivered before, where the queue counts it.
        self._deliveries: list[int] = []
        # The messages that `take` found, and those that the queue will drop when they are given back.
        self.to_save: list[Seen] = []

    def take(self, most: int, limit: int, where: Where | None = None) -> list[Seen]:
        """The messages that are wanted, at most `limit`, among `most` at the head of the queue."""
        kind, at = DEAD if self._place.dead else TASK, time()
        found: list[Seen] = []
        for message in self.messages(most):
            seen = Seen(kind, str(self._place.broker), at, message)
            wanted = len(found) < limit and (where is None or where(seen))
            if wanted:
                found.append(seen)
            if wanted or self._is_dropped(message):
                self.to_save.append(seen)
        return found

    def _is_dropped(self, message: Message) -> bool:
        return self._drops and self._limit is not None and deliveries(message) + 1 > self._limit

    def messages(self, most: int) -> Iterator[Message]:
        """At most so many, from the head of the queue. Raises `SafetyRefusal` where giving them back would lose one."""
        limit, before = self._limit, len(self._deliveries)
        for message in self._holding.take(most if limit is None or self._limit_set else min(most, 1)):
            self._deliveries.append(deliveries(message))
            if limit is not None and not self._limit_set and len(self._deliveries) == 1:
                spare_last_lives(self._place.queue, message, limit)
            yield message
        for message in self._holding.take(most + before - len(self._deliveries)):
            self._deliveries.append(deliveries(message))
            yield message
        if self._keep_order:
            self._holding.take_returned()

    def give_back(self, summary: PeekSummary) -> None:
        """Put everything back, and count again when it is there."""
        if self._limit is not None and self._deliveries:
            summary.died = sum(count + 1 > self._limit for count in self._deliveries)
            alive = [count + 1 for count in self._deliveries if count + 1 <= self._limit]
            summary.left = self._limit - max(alive) if alive else None
        summary.held = self._holding.taken
        self._holding.release(summary.died)
        summary.seconds = monotonic() - self._began
        summary.after = self._holding.count().ready


def spare_last_lives(queue: str, first: Message, limit: int) -> None:
    """Raises `SafetyRefusal` when the queue's first message has hardly a delivery left. A broker's own limit counts for
    queues of dead letters too, where looks add up: stop well before it."""
    count = deliveries(first)
    if count + _LAST_LIVES >= limit:
        raise SafetyRefusal(
            f"{queue}: its first message was delivered {counted(count, 'time')}, and the broker drops it after {limit}",
            f"`mp purge {queue}` saves all to a file, `mp replay {queue}` sends all again",
        )


def deliveries(message: Message) -> int:
    """How often the queue delivered it before, 0 where it does not count. A quorum queue does."""
    try:
        count = plain(message.headers.get("x-delivery-count"))
    except ProtocolError:
        return 0
    return count if isinstance(count, int) else 0
