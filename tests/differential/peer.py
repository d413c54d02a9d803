"""One connection of a sequence: carries out its operations, answers what must be answered, keeps what came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from amqp_client import Client, Event
from operations import Operation

from mpcli.wire import methods as m

METHODS = {value.name: value for value in vars(m).values() if isinstance(value, m.Method)}
PATIENCE = 10.0
# The channels from which queues are looked at: one for each, because a queue that is not there closes it.
_LOOKING = 100


@dataclass
class Held:
    """A delivery that can be settled."""

    tag: int
    consumer: str


@dataclass
class Channel:
    """What a channel of a client owes and is owed."""

    held: list[Held] = field(default_factory=list)
    # Settled in a transaction that may be rolled back.
    parked: list[Held] = field(default_factory=list)
    # Consumers that do not acknowledge, and `get` if the last basic.get did not.
    no_ack: set[str] = field(default_factory=set)
    mode: str = ""
    published: int = 0
    confirmed: dict[int, str] = field(default_factory=dict)
    flows: int = 0
    reply_to: str = ""


class Peer:
    """A connection. `seen` is what came and was not told yet."""

    def __init__(self, port: int) -> None:
        self.client = Client("127.0.0.1", port).handshake("guest", "guest", "/")
        self.channels: dict[int, Channel] = {}
        self.seen: list[Event] = []
        self.alive = True
        self._asked: list[str] = []
        self._looks: dict[int, object] = {}
        self._looking: set[int] = set()

    # -- operations ------------------------------------------------------------------------------------------------

    def perform(self, operation: Operation, values: tuple[object, ...], *, one_by_one: bool) -> None:
        """Send what the operation says. With `one_by_one` deliveries are settled without those before them."""
        number, what = operation.channel, operation.what
        if what == "abort":
            self.end()
        elif what == "connection.close":
            self.client.send(0, m.CONNECTION_CLOSE, 200, "", 0, 0)
            self.until(lambda: any(event.name == "connection.close-ok" for event in self.seen))
            self.end()
        elif what == "channel.close" and number in self.channels:
            del self.channels[number]
            self.client.send(number, m.CHANNEL_CLOSE, 200, "", 0, 0)
            self.until(lambda: any(event.name == "channel.close-ok" for event in self.seen))
        elif what != "channel.close":
            if what == "settle":
                values = (*values, one_by_one)
            self._on_channel(number, what, values)

    def open(self, number: int) -> None:
        """Open the channel if it is not."""
        if number not in self.channels:
            self.client.send(number, m.CHANNEL_OPEN)
            self.channels[number] = Channel()
            self.until(lambda: any(event.name == "channel.open-ok" for event in self.seen))

    def _on_channel(self, number: int, what: str, values: tuple[object, ...]) -> None:
        self.open(number)
        special = getattr(self, "_do_" + what.replace(".", "_").replace("-", "_"), None)
        if special is not None and number in self.channels:
            special(number, self.channels[number], *values)
        elif special is None:
            self.client.send(number, METHODS[what], *values)

    def _do_publish(self, number, channel, exchange, key, mandatory, immediate, properties, body, times) -> None:
        for turn in range(times):
            text = f"m{body}{'+' * turn}".encode()
            flags = {"mandatory": mandatory, "immediate": immediate}
            self.client.publish(exchange, key, text, channel=number, **flags, **properties)
        channel.published += times

    def _do_reply(self, number, channel, mandatory, reply_to) -> None:
        self.client.publish("", reply_to, b"reply", channel=number, mandatory=mandatory)
        channel.published += 1

    def _do_basic_consume(self, number, channel, queue, tag, *more) -> None:
        # A tag that is in use is refused: then the channel is closed, and all this forgotten.
        (channel.no_ack.add if more[1] else channel.no_ack.discard)(tag)
        self.client.send(number, m.BASIC_CONSUME, queue, tag, *more)

    def _do_basic_get(self, number, channel, queue, no_ack) -> None:
        (channel.no_ack.add if no_ack else channel.no_ack.discard)("get")
        self.client.send(number, m.BASIC_GET, queue, no_ack)

    def _do_basic_recover(self, number, channel, requeue) -> None:
        channel.held.clear()
        self.client.send(number, m.BASIC_RECOVER, requeue)

    def _do_basic_recover_async(self, number, channel, requeue) -> None:
        channel.held.clear()
        self.client.send(number, m.BASIC_RECOVER_ASYNC, requeue)

    def _do_confirm_select(self, number, channel, nowait) -> None:
        if not channel.mode:
            channel.mode, channel.published = "confirm", 0
        self.client.send(number, m.CONFIRM_SELECT, nowait)

    def _do_tx_select(self, number, channel) -> None:
        channel.mode = channel.mode or "tx"
        self.client.send(number, m.TX_SELECT)

    def _do_tx_commit(self, number, channel) -> None:
        channel.parked.clear()
        self.client.send(number, m.TX_COMMIT)
        # RabbitMQ closes the connection over whatever is sent before its answer.
        self.until(lambda: number not in self.channels or any(event.name == "tx.commit-ok" for event in self.seen))

    def _do_tx_rollback(self, number, channel) -> None:
        channel.held, channel.parked = sorted(channel.parked + channel.held, key=lambda held: held.tag), []
        self.client.send(number, m.TX_ROLLBACK)

    def _do_settle(self, number, channel, how, index, multiple, requeue, one_by_one) -> None:
        multiple = multiple and how != "reject" and not one_by_one
        if index < 0:
            tag = 0 if requeue else 99
        elif channel.held:
            tag = channel.held[index % len(channel.held)].tag
        else:
            return
        settled = [held for held in channel.held if held.tag == tag or (multiple and (held.tag < tag or tag == 0))]
        channel.held = [held for held in channel.held if held not in settled]
        if channel.mode == "tx":
            channel.parked += settled
        values = {"ack": (multiple,), "nack": (multiple, requeue), "reject": (requeue,)}[how]
        self.client.send(number, METHODS[f"basic.{how}"], tag, *values)

    # -- what came -------------------------------------------------------------------------------------------------

    def ask(self, names: list[str]) -> None:
        """Ask for the counts of these queues, and on each channel for a sign that all that was sent has been read."""
        for number, channel in self.channels.items():
            channel.flows += 1
            self.client.send(number, m.CHANNEL_FLOW, True)
        self._looks.clear()
        self._asked = names
        for number, name in enumerate(names, _LOOKING):
            if number not in self._looking:
                self._looking.add(number)
                self.client.send(number, m.CHANNEL_OPEN)
            self.client.send(number, m.QUEUE_DECLARE, name, True, False, False, False, False, {})

    def answered(self) -> dict[str, object]:
        """Wait for the answers, and for the confirms of all that was published.

        Returns the messages and consumers of each queue, or the code with which it is refused.
        """
        self.until(lambda: len(self._looks) == len(self._asked) and not any(map(_waits, self.channels.values())))
        return {name: self._looks.get(number, "no answer") for number, name in enumerate(self._asked, _LOOKING)}

    def until(self, done: Callable[[], bool]) -> None:
        """Read until then. What does not come in time is told as such: the other broker may do better."""
        deadline = time.monotonic() + PATIENCE
        while self.alive and not done():
            if time.monotonic() > deadline:
                self.seen.append(Event(0, "silence", []))
                self.end()
                return
            self.client.receive(0.2)
            self._take()
            if self.client.ended and self.alive:
                self.seen.append(Event(0, "cut off", []))
                self.end()

    def _take(self) -> None:
        events, self.client.events = self.client.events, []
        for event in events:
            if event.channel >= _LOOKING:
                self._looked(event)
            elif event.name == "channel.flow-ok" and self._flow_came(event.channel):
                pass
            else:
                self._came(event)
                self.seen.append(event)

    def _flow_came(self, number: int) -> bool:
        channel = self.channels.get(number)
        if channel is None or not channel.flows:
            return False
        channel.flows -= 1
        return True

    def _came(self, event: Event) -> None:
        channel = self.channels.get(event.channel, Channel())
        if event.name == "channel.close":
            self.client.send(event.channel, m.CHANNEL_CLOSE_OK)
            self.channels.pop(event.channel, None)
        elif event.name == "connection.close":
            self.client.send(0, m.CONNECTION_CLOSE_OK)
            self.end()
        elif event.name in ("basic.ack", "basic.nack"):
            tag, multiple = event.values[:2]
            tags = range(1, tag + 1) if multiple else (tag,)
            event.values = [known for known in tags if known not in channel.confirmed]
            channel.confirmed.update(dict.fromkeys(event.values, event.name))
        elif str(event.properties.get("reply_to", "")).startswith("amq.rabbitmq.reply-to."):
            channel.reply_to = str(event.properties["reply_to"])

    def _looked(self, event: Event) -> None:
        if event.name == "queue.declare-ok":
            self._looks[event.channel] = tuple(event.values[1:])
        elif event.name == "channel.close":
            self.client.send(event.channel, m.CHANNEL_CLOSE_OK)
            self._looking.discard(event.channel)
            self._looks[event.channel] = event.values[0]

    def end(self) -> None:
        """No more of it."""
        self.alive = False
        self.channels.clear()
        self.client.close()


def _waits(channel: Channel) -> bool:
    return bool(channel.flows) or (channel.mode == "confirm" and len(channel.confirmed) < channel.published)
