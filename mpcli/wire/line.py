"""The connection under an `OpenCaller`: what is to be sent, what is under way, and when patience ends.

Used by one thread alone. Opened when there is something to send, and again when it broke.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from time import monotonic

from mpcli.errors import BrokerUnreachable, MpError
from mpcli.wire.connection import Connection, Incoming
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
from mpcli.wire.lanes import Lanes
from mpcli.wire.looks import Look, Looks
from mpcli.wire.methods import CONNECTION_CLOSE
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.refusal import connection_refusal
from mpcli.wire.verdict import held_back, unanswered, unconfirmed, unexplained

NEVER = float("inf")
_DIAGNOSIS_WAIT = 1.0
_CHANNELS = 1023  # RabbitMQ allows 2047 unless told otherwise; one of less is taken at its word


class Line:
    """One connection, or none at the moment. `due` is when to call `expire`, on the clock of `time.monotonic`."""

    def __init__(self, urls: str, name: str, heartbeat: int, reconnects: bool) -> None:
        self.connection: Connection | None = None
        self.due = NEVER
        self._urls = urls
        self._name = name
        self._heartbeat = heartbeat
        self._reconnects = reconnects
        self._broke: MpError | None = None
        self._lanes = Lanes()
        self._looks = Looks(1)
        self._unsent: deque[Ongoing] = deque()
        # Everything that is not settled, by id; and of what is past its deadline, until when the reason is awaited.
        self._open: dict[str, Ongoing] = {}
        self._explaining: dict[str, float] = {}
        self._out: list[bytes] = []

    @property
    def hurried(self) -> bool:
        """Whether there is work that no socket announces."""
        if self.connection is None:
            return bool(self._unsent)  # there was a connection when they came, and it broke
        return self.connection.unread

    def accept(self, ongoing: Ongoing) -> None:
        """Send it with the next `write`; when it is done, forget it."""
        if not ongoing.done:
            self._unsent.append(ongoing)
            self._open[ongoing.id] = ongoing
            self.due = min(self.due, ongoing.deadline)
        elif self._open.pop(ongoing.id, None) is not None:
            self._lanes.forget(ongoing)

    # -- in and out ------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Settle what has been answered. Raises `BrokerError` when the connection ended."""
        if self.connection is not None:
            for incoming in self.connection.arrived():
                self._take(self.connection, incoming)

    def _take(self, connection: Connection, incoming: Incoming) -> None:
        if incoming.method is CONNECTION_CLOSE:
            raise connection_refusal(connection.url, int(str(incoming.values[0])), str(incoming.values[1]))
        if incoming.channel == self._looks.channel:
            self._out.append(self._looks.take(connection, incoming))
        for ongoing in self._lanes.take(connection, incoming):
            self._open.pop(ongoing.id, None)

    def write(self) -> None:
        """Send what waits, over a new connection when there is none, and a heartbeat when it is time. Raises
        `BrokerError`."""
        if self._broke is not None:
            self.lose(self._broke)
        elif self.connection is None and self._unsent:
            self._connect()
        if self.connection is None:
            return
        while self._unsent and not self.connection.blocked:
            ongoing = self._unsent.popleft()
            if not ongoing.done:
                self._out.append(self._frames(ongoing, self.connection.frame_max, self.connection.channel_max))
                ongoing.message = None
        if self._out:
            data, self._out = b"".join(self._out), []
            self.connection.send(data)
        self.connection.beat()

    def _connect(self) -> None:
        """Connect, and send what waits in the same write."""
        waiting = [ongoing for ongoing in self._unsent if not ongoing.done]
        self._unsent.clear()
        patience = max((ongoing.deadline for ongoing in waiting), default=0.0) - monotonic()
        if patience <= 0:
            return

        def first(frame_max: int) -> bytes:
            self._lanes, self._looks = Lanes(), Looks(1)
            return b"".join([self._frames(ongoing, frame_max, _CHANNELS) for ongoing in waiting])

        self.connection = connect(
            self._urls,
            timeout=min(patience, CONNECT_TIMEOUT),
            heartbeat=self._heartbeat,
            first=first,
            name=self._name,
            channels=_CHANNELS,
        )
        for ongoing in waiting:
            ongoing.message = None

    def _frames(self, ongoing: Ongoing, frame_max: int, channel_max: int) -> bytes:
        message = ongoing.message
        if message is None:
            return b""  # it was cancelled this moment
        try:
            frames = self._lanes.frames(ongoing, message, frame_max, channel_max)
        except MpError as error:
            ongoing.finish(error=error)
            return b""
        ongoing.sent = True
        return frames + (self._looks.ask(ongoing.name.queue, _teller(ongoing)) if ongoing.looks else b"")

    # -- deadlines and ends ----------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Settle what is due, and find out when the next one is. Raises `BrokerError`."""
        now = monotonic()
        for ongoing in [one for one in self._open.values() if one.done or one.deadline <= now]:
            explained_by = self._explaining.get(ongoing.id, 0.0)
            if ongoing.done or (explained_by and explained_by <= now):
                self._settle(ongoing, unexplained(ongoing.name, ongoing.timeout, self._silent()))
            elif not explained_by:
                self._give_up(ongoing)
        self.due = min((self._explaining.get(one.id, one.deadline) for one in self._open.values()), default=NEVER)

    def _give_up(self, ongoing: Ongoing) -> None:
        """The deadline is over: say why there was no answer, or ask the broker for the reason."""
        connection, name, timeout = self.connection, ongoing.name, ongoing.timeout
        if connection is None:
            self._settle(ongoing, unexplained(name, timeout, self._silent()))
        elif not ongoing.replies:
            self._settle(ongoing, unconfirmed(connection.url, name, timeout, connection.blocked))
        elif connection.blocked or not ongoing.sent:
            self._settle(ongoing, held_back(name, timeout, connection.blocked))
        else:
            self._lanes.forget(ongoing)
            self._explaining[ongoing.id] = monotonic() + _DIAGNOSIS_WAIT
            if frames := self._looks.ask(name.queue, lambda look: self._settle(ongoing, _reason(ongoing, look))):
                connection.send(frames)

    def _settle(self, ongoing: Ongoing, error: MpError) -> None:
        self._lanes.forget(ongoing)
        self._explaining.pop(ongoing.id, None)
        self._open.pop(ongoing.id, None)
        ongoing.finish(error=error)

    def _silent(self) -> BrokerUnreachable:
        address = self.connection.url.address if self.connection else "the broker"
        return BrokerUnreachable(f"the broker at {address} does not answer in time")

    def lose(self, error: MpError) -> None:
        """The connection is gone, or there was none to be had: what was sent fails, what was not is sent over the next
        one, or fails too when there is to be none."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        self._lanes, self._looks, self._out = Lanes(), Looks(1), []
        if not self._reconnects:
            self._broke = error
            self._unsent.clear()
        kept = {ongoing.id for ongoing in self._unsent}
        for ongoing in list(self._open.values()):
            if ongoing.id not in kept:
                ongoing.sent = ongoing.sent and connection is not None
                self._settle(ongoing, _lost(error, ongoing, connected=connection is not None))

    def close(self) -> None:
        """Hang up; what is not settled fails."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        self._unsent.clear()
        self.lose(BrokerUnreachable("the connection was closed by this program"))


def _teller(ongoing: Ongoing) -> Callable[[Look], None]:
    def tell(look: Look) -> None:
        if not look.error and not look.consumers:
            ongoing.nobody_listens()

    return tell


def _reason(ongoing: Ongoing, look: Look) -> MpError:
    if look.error:
        return unexplained(ongoing.name, ongoing.timeout, look.error)
    return unanswered(ongoing.name, ongoing.timeout, look.waiting, look.consumers)


def _lost(error: MpError, ongoing: Ongoing, connected: bool) -> MpError:
    """The error for one of those that were under way: each gets its own, for each is raised in a thread of its own."""
    own = copy(error)
    if connected and ongoing.sent and isinstance(own, BrokerUnreachable):
        own.uncertain = True
        own.hint = (
            f"whether {ongoing.name} ran is not known"
            if ongoing.replies
            else "the broker may or may not have the message: look before you send it again"
        )
    return own
