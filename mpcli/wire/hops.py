"""When a message was where: what this end saw by its own clock, what the workers' events tell by theirs.

A traced call is not sent together with the handshake, as others are, so that each hop has a time of its own. The
events are heard through an exclusive queue of this connection, which is gone with it.
"""

from __future__ import annotations

from time import monotonic, time

from mpcli.errors import BrokerRefused, MpError
from mpcli.wire.celery_message import new_id
from mpcli.wire.codec import Table
from mpcli.wire.connection import Connection
from mpcli.wire.events import EVENT_EXCHANGE, EVENT_PATTERN, task_events
from mpcli.wire.incoming import Incoming
from mpcli.wire.message import Message
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CONSUME,
    BASIC_DELIVER,
    CHANNEL_OPEN,
    CONFIRM_SELECT,
    QUEUE_BIND,
    QUEUE_DECLARE,
)

_WORK, _EVENTS = 1, 14
# Seconds for events that are on their way when the reply is there already.
_LATE = 0.5
_BIND_WAIT = 5.0
_ARGUMENTS: Table = {}


class Hop:
    """`what` happened `at` so many seconds after the beginning; `by` is the worker that says so, empty for this end."""

    __slots__ = ("at", "by", "what")

    def __init__(self, what: str, at: float, by: str = "") -> None:
        self.what = what
        self.at = at
        self.by = by

    def as_dict(self) -> dict[str, object]:
        """For JSON; milliseconds."""
        return {"hop": self.what, "ms": round(self.at * 1000, 3), "by": self.by or "mp"}


class Hops:
    """Collects the hops of one task."""

    def __init__(self) -> None:
        self.found: list[Hop] = []
        self.silent = False
        self._began = self._wall = 0.0
        self._id = ""
        self._ended = False

    def begin(self, at: float) -> None:
        """Count from here, on the clock of `time.monotonic`."""
        self._began, self._wall = at, time() - (monotonic() - at)

    def mark(self, what: str) -> None:
        """It happened now, at this end."""
        self.found.append(Hop(what, monotonic() - self._began))

    def listening(self, task_id: str) -> bytes:
        """The frames by which the events of a task are heard, and its publish is confirmed."""
        self._id = task_id
        queue = f"mp.trace.{new_id()}"
        return (
            CHANNEL_OPEN.frame(_EVENTS)
            + QUEUE_DECLARE.frame(_EVENTS, queue, False, False, True, True, False, _ARGUMENTS)
            + BASIC_CONSUME.frame(_EVENTS, queue, "", False, True, True, False, _ARGUMENTS)
            + QUEUE_BIND.frame(_EVENTS, queue, EVENT_EXCHANGE, EVENT_PATTERN, False, _ARGUMENTS)
            + CONFIRM_SELECT.frame(_WORK, False)
        )

    def connected(self, connection: Connection) -> None:
        """The connection is open; the events are listened to before anything is published."""
        self.mark("connected")
        try:
            connection.answer(QUEUE_BIND, channel=_EVENTS, deadline=monotonic() + _BIND_WAIT)
        except BrokerRefused:
            self.silent = True  # there is no such exchange: no worker that sends events was ever here

    def take(self, incoming: Incoming) -> bool:
        """Note what has to do with the trace alone; False for all else."""
        if incoming.channel == _WORK and incoming.method is BASIC_ACK:
            self.mark("confirmed")
            return True
        if incoming.channel != _EVENTS:
            return False
        if incoming.method is BASIC_DELIVER:
            for event in task_events(Message("", "", incoming.header, incoming.body)):
                if event.id == self._id:
                    self._ended = self._ended or event.is_final
                    self.found.append(Hop(event.what, event.at - self._wall, event.text("hostname")))
        return True

    def finish(self, connection: Connection) -> None:
        """After the reply, wait a moment for events that are still on their way; without one none is awaited."""
        if not any(hop.what == "replied" for hop in self.found):
            return
        deadline = monotonic() + _LATE
        while not self.silent and not self._ended:
            try:
                self.take(connection.receive(deadline))
            except (MpError, TimeoutError):
                self.silent = not any(hop.by for hop in self.found)
                return
