"""The channels of one connection that carries many calls: which message went where, and whose the answers are.

Each exchange has a channel of its own, so that the broker's closing of one (an exchange that does not exist) fails
the messages to that exchange and no others. Calls and confirmed sends have different ones: a consumer on direct
reply-to gets the replies to what was published on its channel, and confirms are counted by channel.
"""

from __future__ import annotations

from collections.abc import Callable

from mpcli.errors import BrokerRefused, MpError
from mpcli.wire.celery_message import Pending, TaskMessage, read_reply
from mpcli.wire.connection import Connection
from mpcli.wire.frames import encode_content
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CONSUME,
    BASIC_DELIVER,
    BASIC_NACK,
    BASIC_PUBLISH,
    BASIC_RETURN,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    CONFIRM_SELECT,
)
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.properties import encode_properties
from mpcli.wire.verdict import not_kept, undelivered

REPLY_TO = "amq.rabbitmq.reply-to"
_FIRST = 2  # channel 1 is for looking at queues


class _Lane:
    """A channel, and what was sent on it that is not settled."""

    __slots__ = ("channel", "key", "open", "tag")

    def __init__(self, channel: int, key: tuple[str, bool]) -> None:
        self.channel = channel
        self.key = key
        self.tag = 0
        # Calls by their id, sends by the number that confirms name.
        self.open: dict[str | int, Ongoing] = {}


class Lanes:
    """The lanes of one connection. `returned` settles what the broker gives back, for this reason."""

    def __init__(self, returned: Callable[[Ongoing, MpError], None]) -> None:
        self._returned = returned
        self._by_key: dict[tuple[str, bool], _Lane] = {}
        self._by_channel: dict[int, _Lane] = {}
        self._free: list[int] = []
        self._next = _FIRST

    def frames(self, ongoing: Ongoing, message: TaskMessage, frame_max: int, channel_max: int) -> bytes:
        """Publish it on its lane, opened when need be. Raises `BrokerRefused` when there is no channel left."""
        exchange, routing_key = message.route or (ongoing.name.exchange, ongoing.name.routing_key)
        key = (exchange, ongoing.replies)
        lane, opening = self._by_key.get(key), b""
        if lane is None:
            lane, opening = self._open(key, channel_max)
        lane.tag += 1
        lane.open[ongoing.id if ongoing.replies else lane.tag] = ongoing
        return (
            opening
            + BASIC_PUBLISH.frame(lane.channel, exchange, routing_key, True, False)
            + encode_content(lane.channel, encode_properties(message.properties), message.body, frame_max)
        )

    def _open(self, key: tuple[str, bool], channel_max: int) -> tuple[_Lane, bytes]:
        channel = self._free.pop() if self._free else self._next
        if channel > channel_max:
            raise BrokerRefused(
                f"{len(self._by_key)} services over one connection are as many as the broker has channels for",
                "raise channel_max of the broker",
            )
        self._next = max(self._next, channel + 1)
        lane = self._by_key[key] = self._by_channel[channel] = _Lane(channel, key)
        if key[1]:
            mode = BASIC_CONSUME.frame(channel, REPLY_TO, "", False, True, False, False, {})
        else:
            mode = CONFIRM_SELECT.frame(channel, False)
        return lane, CHANNEL_OPEN.frame(channel) + mode

    def forget(self, ongoing: Ongoing) -> None:
        """Nobody waits for it: a late reply is dropped. Of a send the confirm is still counted."""
        lane = self._by_key.get((ongoing.name.exchange, ongoing.replies))
        if lane is not None and ongoing.replies:
            lane.open.pop(ongoing.id, None)

    def take(self, connection: Connection, incoming: Incoming) -> list[Ongoing]:
        """Settle what this answers, or have it settled; the ones that need no lane any more."""
        lane = self._by_channel.get(incoming.channel)
        if lane is None:
            return []
        if incoming.method is BASIC_DELIVER:
            return _replied(lane, incoming)
        if incoming.method is BASIC_RETURN:
            return self._came_back(lane, connection, incoming)
        if incoming.method in (BASIC_ACK, BASIC_NACK):
            return _confirmed(lane, connection, incoming)
        if incoming.method is CHANNEL_CLOSE:
            return self._closed(lane, connection, incoming)
        return []

    def _came_back(self, lane: _Lane, connection: Connection, incoming: Incoming) -> list[Ongoing]:
        """The message carries its id. The confirm of a send that comes back follows, and finds nothing."""
        task_id = str(incoming.properties.get("correlation_id"))
        keys = [task_id] if task_id in lane.open else [key for key, one in lane.open.items() if one.id == task_id]
        returned = [lane.open.pop(key) for key in keys]
        for ongoing in returned:
            if error := undelivered(connection.url, ongoing.name, incoming):
                self._returned(ongoing, error)
        return returned

    def _closed(self, lane: _Lane, connection: Connection, incoming: Incoming) -> list[Ongoing]:
        del self._by_key[lane.key], self._by_channel[lane.channel]
        self._free.append(lane.channel)
        failed = list(lane.open.values())
        for ongoing in failed:
            ongoing.finish(error=undelivered(connection.url, ongoing.name, incoming))
        return failed


def _replied(lane: _Lane, incoming: Incoming) -> list[Ongoing]:
    properties = incoming.properties
    ongoing = lane.open.get(str(properties.get("correlation_id")))
    if ongoing is None:
        return []  # of a call that was cancelled, or is over
    try:
        ongoing.finish(value=read_reply(ongoing.name, ongoing.id, properties, incoming.body))
    except Pending:
        return []
    except MpError as error:
        ongoing.finish(error=error)
    del lane.open[ongoing.id]
    return [ongoing]


def _confirmed(lane: _Lane, connection: Connection, incoming: Incoming) -> list[Ongoing]:
    tag = int(str(incoming.values[0]))
    tags = [one for one in lane.open if int(one) <= tag] if incoming.values[1] else [tag]
    settled = [lane.open.pop(one) for one in tags if one in lane.open]
    for ongoing in settled:
        if incoming.method is BASIC_ACK:
            ongoing.finish(value=ongoing.id)
        else:
            ongoing.finish(error=not_kept(connection.url, ongoing.name))
    return settled
