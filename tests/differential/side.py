"""One broker as its clients see it: all that comes back for an operation, in words that can be compared."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from amqp_client import Event
from choices import EXCHANGES, GENERATED, QUEUES
from operations import Operation
from peer import Held, Peer

from mpcli.wire import methods as m
from mpcli.wire.codec import Typed

_MADE_UP = re.compile(r"amq\.(gen-|ctag-|rabbitmq\.reply-to\.)[^\s'\",)]+")
_LONG_AGO = 1_000_000_000
NAMES = (*QUEUES, "new")
# By channel what was told there, and how many messages and consumers each queue has.
Answer = dict[str, dict[str, object]]


class Side:
    """One of the two brokers, and the clients of a sequence."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._observer = Peer(port)
        self._peers: dict[int, Peer] = {}
        self._names: dict[str, str] = {}
        self._generated: list[str] = []
        self._locked: list[str] = []

    def perform(self, operation: Operation, quiet: float, *, one_by_one: bool) -> Answer:
        """Carry it out, wait until nothing has changed for `quiet` seconds, and tell what a client sees."""
        peer = self._peers.get(operation.connection)
        if peer is None or not peer.alive:
            peer = self._peers[operation.connection] = Peer(self.port)
        with suppress(OSError):  # it is cut off: what was said before is what counts
            peer.perform(operation, self._real(operation), one_by_one=one_by_one)
        counts = self._settled(quiet)
        return {**self._told(), "queues": counts}

    def _real(self, operation: Operation) -> tuple[object, ...]:
        if operation.what == "reply":
            keys = [channel.reply_to for peer in self._peers.values() for channel in peer.channels.values()]
            key = next((key for key in keys if key), "amq.rabbitmq.reply-to.nonesuch")
            return (*operation.values, key)
        name = self._generated[-1] if self._generated else QUEUES[0]
        return tuple(name if isinstance(value, str) and value == GENERATED else value for value in operation.values)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _settled(self, quiet: float) -> dict[str, object]:
        """The counts of the queues, once they and what came have not changed for so long."""
        last: object = None
        since = time.monotonic()
        while True:
            counts = self._counts()
            now = (counts, [len(peer.seen) for peer in self._peers.values()])
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= quiet:
                return counts
            time.sleep(min(quiet / 2, 0.02))

    def _counts(self) -> dict[str, object]:
        # An exclusive queue tells its own connection only: each is asked for those that were refused to the observer.
        self._observer.ask([*NAMES, *self._generated[-3:]])
        peers = [peer for peer in self._peers.values() if peer.alive]
        for peer in peers:
            with suppress(OSError):
                peer.ask(self._locked)
        counts = self._observer.answered()
        self._locked = [name for name, found in counts.items() if found == 405]
        for peer in peers:
            with suppress(OSError):
                counts.update({name: found for name, found in peer.answered().items() if isinstance(found, tuple)})
        return {self._plain(name): found for name, found in counts.items()}

    # -- telling ---------------------------------------------------------------------------------------------------

    def _told(self) -> Answer:
        told: Answer = {}
        for number, peer in self._peers.items():
            seen, peer.seen = peer.seen, []
            for channel in sorted({event.channel for event in seen}):
                here = [event for event in seen if event.channel == channel]
                told[f"{number}.{channel}"] = self._told_on(peer, channel, here)
        return told

    def _told_on(self, peer: Peer, number: int, events: list[Event]) -> dict[str, object]:
        told: dict[str, object] = {}
        consumers: dict[str, list[Event]] = {}
        for event in events:
            if event.name in ("basic.deliver", "basic.get-ok"):
                consumers.setdefault(self._consumer(event), []).append(event)
            elif event.name in ("basic.ack", "basic.nack"):
                confirmed = told.setdefault("confirmed", {})
                confirmed.update(dict.fromkeys(event.values, event.name))
            else:
                kind = {"basic.return": "returned", "basic.cancel": "cancelled"}.get(event.name, "answers")
                told.setdefault(kind, []).append(self._words(event))
        for kind in ("confirmed", "cancelled"):
            if kind in told:
                told[kind] = sorted(told[kind].items() if kind == "confirmed" else told[kind])
        if consumers:
            told["delivered"] = {name: list(map(self._words, consumers[name])) for name in sorted(consumers)}
            told["tags"] = [self._tag(event) for name in sorted(consumers) for event in consumers[name]]
            self._hold(peer, number, consumers)
        return told

    def _hold(self, peer: Peer, number: int, consumers: dict[str, list[Event]]) -> None:
        channel = peer.channels.get(number)
        if channel is None:
            return
        for name in sorted(consumers):
            for event in consumers[name]:
                tag = "get" if event.name == "basic.get-ok" else event.values[0]
                if tag not in channel.no_ack and not name.startswith("reply"):
                    channel.held.append(Held(self._tag(event), name))

    def _consumer(self, event: Event) -> str:
        return "get" if event.name == "basic.get-ok" else self._plain(event.values[0])

    @staticmethod
    def _tag(event: Event) -> int:
        return event.values[0 if event.name == "basic.get-ok" else 1]

    def _words(self, event: Event) -> str:
        values = list(event.values)
        if event.name == "queue.declare-ok" and values[0].startswith("amq.gen-") and values[0] not in self._generated:
            self._generated.append(values[0])
        if event.name in ("basic.deliver", "basic.get-ok"):
            del values[0 if event.name == "basic.get-ok" else 1]
        words = f"{event.name} {values}"
        if event.properties or event.body:
            words += f" {_without_time(event.properties)} {event.body!r}"
        return self._plain(words)

    def _plain(self, text: str) -> str:
        """The text with numbers for the names that the broker made up."""

        def number(found: re.Match[str]) -> str:
            return self._names.setdefault(found.group(), f"<{found.group(1)}{len(self._names) + 1}>")

        return _MADE_UP.sub(number, text)

    # -- the end ---------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Close the clients and delete what they left."""
        for peer in self._peers.values():
            peer.end()
        self._peers.clear()
        names = [*NAMES, *self._generated]
        deadline = time.monotonic() + 30
        while any(found != 404 for found in self._looked_at(names)):
            assert time.monotonic() < deadline, "the queues of a sequence cannot be deleted"
            for name in names:
                self._tried(m.QUEUE_DELETE, name, False, False, False)
        for name in (*EXCHANGES, "nope"):
            self._tried(m.EXCHANGE_DELETE, name, False, False)
        self._names.clear()
        self._generated.clear()
        self._locked.clear()

    def _looked_at(self, names: list[str]) -> list[object]:
        self._observer.ask(names)
        return list(self._observer.answered().values())

    def _tried(self, method: m.Method, *values: object) -> None:
        peer = self._observer
        peer.open(1)
        peer.client.send(1, method, *values)
        self._looked_at([])
        peer.seen.clear()


def _without_time(value: object) -> object:
    """As it is, but for the time at which something happened; the order of a table counts."""
    if isinstance(value, dict):
        return [(name, _without_time(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return list(map(_without_time, value))
    if isinstance(value, Typed) and value.tag == "T" and value.value > _LONG_AGO:
        return "<now>"
    return value
