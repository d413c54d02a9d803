"""Holding messages of a queue: taken, looked at, each one then removed or given back; nothing is lost on the way.

    with hold(url, "mplogin.dead") as holding:          # counts first: holding.ready
        for message in holding.take(500):               # at most 500, and never more in all than were counted
            ...
        holding.ack(done)                               # removed from the queue
    # what was not acknowledged is back in the queue

`ack` is a round trip: give it many at once where you can. `take` in a loop ends, also where each message that is taken
comes back at the other end: it stops at the count of the beginning, and sooner when the queue is empty. Whoever must
not lose a message saves it, or has it confirmed, before `ack`. When this process is killed the broker gives back all
that was not acknowledged. Between two calls the connection is silent: who does something long meanwhile (a rate, a
person's answer) calls `beat` every few seconds, and has 30 minutes, after which RabbitMQ takes messages back by itself
(`consumer_timeout`).

What is behind it was measured on RabbitMQ 3.10 and holds for the embedded broker too:

- A consumer with a prefetch of exactly what is wanted, cancelled before anything is acknowledged, gets no message more.
  On a quorum queue it is forty times as fast as `basic.get`, each of which is a write to the replicated log.
- Messages go back by closing the channel. They are then at their old places; a `basic.nack` with requeue puts them to
  the end of a quorum queue without a delivery limit, and more than 32 in random order. A quorum queue serves what was
  given back before all else, in the order in which it came back: who gives back some of those takes the others too
  (`take_returned`). What stays held over more than a few `take`s may go back to it in another order.
- Acknowledgements go through a transaction, which makes one command of many. RabbitMQ keeps those to a quorum queue
  back while 32 are under way, and forgets them when the channel closes: of 2,000 that were acknowledged one by one
  right before the end 1,967 came back.
- Going back sets `redelivered` and, on a quorum queue, adds 1 to `x-delivery-count`; one that is then above the
  queue's delivery limit becomes a dead letter, or is dropped where there is no dead-letter exchange.
- A queue whose consumer is exclusive refuses another, and one with a single active consumer gives it nothing: there
  messages are taken one by one (`mpcli.wire.getting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic, sleep

from mpcli.errors import BrokerRefused, MpError, NotFound
from mpcli.wire.codec import Table
from mpcli.wire.connection import Connection
from mpcli.wire.getting import get_batches
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
from mpcli.wire.incoming import Incoming
from mpcli.wire.message import Message
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CANCEL,
    BASIC_CONSUME,
    BASIC_DELIVER,
    BASIC_QOS,
    CHANNEL_CLOSE,
    QUEUE_DECLARE,
    TX_COMMIT,
    TX_SELECT,
)
from mpcli.wire.queue_counts import Counts
from mpcli.wire.queue_traits import Traits, queue_traits
from mpcli.wire.refusal import ACCESS_REFUSED, NOT_FOUND
from mpcli.wire.url import BrokerUrl

# What looks may be refused without harm to what is held.
_LOOK, _HELD = 1, 2
# A prefetch is a 16 bit number, and 0 would mean no limit.
MOST_AT_ONCE = 65_535
# Seconds without a message: after the first the queue is asked whether it is empty, after the second another way is
# tried or, where some came, the rest is left alone.
_QUIET, _PATIENCE = 0.1, 1.0
_FEW = 16
# Commits that are far enough apart are never 32 under way at once.
_COMMIT_EVERY = 0.05
_LAST_WAIT = 30.0
_BACK_WAIT = 1.0


class Holding:
    """Messages of one queue, held by a connection of its own. Not thread-safe.

    `ready` and `consumers` are the counts before anything was taken; `taken` is how many were. Made by `hold`.
    """

    def __init__(self, connection: Connection, queue: str) -> None:
        self.queue = queue
        self.taken = 0
        self.acked = 0
        self._connection = connection
        self._rounds = 0
        self._consuming = ""
        # Whether the last one taken was.
        self._redelivered = False
        # Whether the channel is; the broker closes it when it refuses something, and takes back what is held.
        self._is_open = False
        self._open_acks = False
        self._committed_at = 0.0
        counts = self.count()
        self.ready, self.consumers = counts.ready, counts.consumers
        self._open()

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        try:
            self.close()
        except MpError:
            if kind is None:
                raise

    def count(self) -> Counts:
        """The counts as they are now. Raises `NotFound` when there is no such queue (any more)."""
        try:
            _, ready, consumers = self._connection.request(
                QUEUE_DECLARE, self.queue, True, False, False, False, False, {}, channel=_LOOK
            )
        except BrokerRefused as error:
            raise self._reason(error) from error
        return Counts(int(str(ready)), int(str(consumers)))

    def _reason(self, error: BrokerRefused) -> BrokerRefused | NotFound:
        if error.code != NOT_FOUND:
            return error
        address = self._connection.url.address
        return NotFound(f"no queue {self.queue} on the broker at {address}", "`mp queues` lists them")

    @property
    def url(self) -> BrokerUrl:
        """The address that it is connected to."""
        return self._connection.url

    @property
    def left(self) -> int:
        """How many of those that were counted are still to be taken."""
        return max(self.ready - self.taken, 0)

    def take(self, most: int) -> Iterator[Message]:
        """The next messages, as they come: at most `most`, `left` and `MOST_AT_ONCE`; none when the queue is empty.

        Ask for them all before the first `ack`: the consumer is cancelled then, and nothing beyond them is touched.
        Raises `BrokerError`, `NotFound` when the queue is deleted meanwhile.
        """
        self._commit()
        wanted = min(most, self.left, MOST_AT_ONCE)
        if wanted <= 0:
            return
        began = self.taken
        if self._consume(wanted):
            try:
                while self.taken < began + wanted and (message := self._delivered(began)) is not None:
                    yield message
            finally:
                self._cancel()
            for message in self._late(began + wanted):
                yield message
        if self.taken == began and self.count().ready:
            yield from self._get(wanted)

    def take_returned(self) -> None:
        """After a `take` whose messages go back: take also those behind them that were given back before.

        Else the ones of the `take` would be behind these next time, in a quorum queue.
        """
        while self._redelivered and self.left:
            before = self.taken
            # Their number is not known: by a third more each time few others are taken too, and the rounds stay below
            # 32, from which on a queue forgets their order.
            for _ in self.take(max(_FEW, before // 3)):
                pass
            if self.taken == before:
                return

    def ack(self, messages: Iterable[Message]) -> None:
        """Remove these from the queue for ever: at once, or with the next ones where the last are a moment old.

        Certain once `close` has returned, which also the end of the `with` block sees to, after an error too.
        """
        frames = [BASIC_ACK.frame(_HELD, message.delivery_tag, False) for message in messages]
        if not frames:
            return
        self._connection.send(b"".join(frames))
        self.acked += len(frames)
        self._open_acks = True
        if monotonic() - self._committed_at >= _COMMIT_EVERY:
            self._commit()

    def beat(self) -> None:
        """Keep the connection alive. Raises `BrokerUnreachable` when it is not; what is held is back then."""
        self._connection.stay_alive()

    def traits(self, guess: Table | None = None) -> Traits:
        """What the queue is, as `queue_traits` finds it out."""
        return queue_traits(self._connection, self.queue, guess)

    def release(self, dying: int = 0) -> None:
        """Give back what was not acknowledged; nothing more can be taken.

        Returns when it is in the queue again, or after a second when workers are quicker: a queue hears of a closed
        channel a moment after the channel's end was confirmed. `dying` of them are known to become dead letters.
        Raises `BrokerError`, `NotFound`.
        """
        if not self._is_open:
            return
        self._commit()
        going_back = self.taken - self.acked - dying
        expected = self.count().ready + going_back if going_back > 0 else 0
        self._is_open = False
        self._connection.request(CHANNEL_CLOSE, 200, "", 0, 0, channel=_HELD, wait=_LAST_WAIT)
        deadline = monotonic() + _BACK_WAIT
        while going_back > 0 and self.count().ready < expected and monotonic() < deadline:
            sleep(0.005)

    def close(self) -> None:
        """`release`, and hang up."""
        try:
            self.release()
        finally:
            self._connection.close()

    def _open(self) -> None:
        self._connection.open_channel(_HELD)
        self._connection.request(TX_SELECT, channel=_HELD)
        self._is_open = True

    def _commit(self) -> None:
        if self._open_acks:
            self._open_acks = False
            self._connection.request(TX_COMMIT, channel=_HELD, wait=_LAST_WAIT)
            self._committed_at = monotonic()

    # -- a consumer ------------------------------------------------------------------------------------------------

    def _consume(self, wanted: int) -> bool:
        """Begin a round. False when the queue lets in no other consumer."""
        self._rounds += 1
        tag = f"mp.{self._rounds:03}"  # a queue gives back what its consumers hold in the order of their tags
        self._connection.request(BASIC_QOS, 0, wanted, False, channel=_HELD)
        try:
            self._connection.request(BASIC_CONSUME, self.queue, tag, False, False, False, False, {}, channel=_HELD)
        except BrokerRefused as error:
            # The channel is closed; that gives back what was held, so only the first round may go on.
            self._is_open = False
            if error.code != ACCESS_REFUSED or "exclusive" not in error.message or self.taken:
                raise self._reason(error) from error
            self._open()
            return False
        self._consuming = tag
        return True

    def _delivered(self, began: int) -> Message | None:
        """The next message of the round; None when there is no more to wait for."""
        quiet_since = monotonic()
        while True:
            try:
                message = self._taken(self._connection.receive(monotonic() + _QUIET))
            except TimeoutError:
                waited = monotonic() - quiet_since
                if waited > _PATIENCE or (self.count().ready == 0 and self.taken > began):
                    return None
                if waited > 2 * _QUIET and self.count().ready == 0:
                    return None
                continue
            if message is not None:
                return message

    def _taken(self, incoming: Incoming) -> Message | None:
        if incoming.method is BASIC_DELIVER and incoming.channel == _HELD:
            self.taken += 1
            _, tag, redelivered, exchange, key = incoming.values
            self._redelivered = bool(redelivered)
            return _message(incoming, tag, redelivered, exchange, key)
        if incoming.method is CHANNEL_CLOSE:
            self._is_open = False
            raise self._connection.refusal(incoming)
        if incoming.method is BASIC_CANCEL:
            self._consuming = ""
            raise NotFound(f"queue {self.queue} was deleted", "what was in it is gone with it")
        return None

    def _cancel(self) -> None:
        if self._consuming:
            tag, self._consuming = self._consuming, ""
            self._connection.request(BASIC_CANCEL, tag, False, channel=_HELD)

    def _late(self, end: int) -> Iterator[Message]:
        """What was under way when the consumer was cancelled."""
        while self.taken < end:
            try:
                message = self._taken(self._connection.receive(monotonic()))
            except TimeoutError:
                return
            if message is not None:
                yield message

    # -- one by one ------------------------------------------------------------------------------------------------

    def _get(self, wanted: int) -> Iterator[Message]:
        try:
            for found in get_batches(self._connection, _HELD, self.queue, wanted):
                self.taken += len(found)
                for answer in found:
                    tag, redelivered, exchange, key, _ = answer.values
                    yield _message(answer, tag, redelivered, exchange, key)
        except BrokerRefused:
            self._is_open = False
            raise


def hold(url: str, queue: str, *, timeout: float = CONNECT_TIMEOUT, name: str = "mp") -> Holding:
    """Connect, and count the messages of `queue`. `timeout` is in seconds.

    Raises `NotFound` for a queue that does not exist, `BrokerError`.
    """
    connection = connect(url, timeout=timeout, name=name)
    try:
        return Holding(connection, queue)
    except BaseException:
        connection.abort()
        raise


def _message(incoming: Incoming, tag: object, redelivered: object, exchange: object, key: object) -> Message:
    return Message(str(exchange), str(key), incoming.header, incoming.body, bool(redelivered), int(str(tag)))
