"""The connection under an `OpenCaller`: what is to be sent, what is under way, and when patience ends.

Used by one thread alone. Opened when there is something to send, and again when it broke.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from time import monotonic

from mpcli.errors import BrokerUnreachable, MpError
from mpcli.wire.connection import Connection
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
from mpcli.wire.incoming import Incoming
from mpcli.wire.lanes import Lanes
from mpcli.wire.looks import Look, Looks
from mpcli.wire.methods import CONNECTION_CLOSE
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.refusal import connection_refusal
from mpcli.wire.verdict import held_back, unconfirmed, unexplained

Explain = Callable[[Ongoing, MpError | None], None]

NEVER = float("inf")
_CHANNELS = 1023  # RabbitMQ allows 2047 unless told otherwise; one of less is taken at its word


class Line:
    """One connection, or none at the moment. `due` is when to call `expire`, on the clock of `time.monotonic`.

    `explain` settles, in its own time, a call that was not answered, or one that came back for the reason that it gets.
    """

    def __init__(self, urls: str, name: str, heartbeat: int, reconnects: bool, explain: Explain) -> None:
        self.connection: Connection | None = None
        self.due = NEVER
        self._urls = urls
        self._name = name
        self._heartbeat = heartbeat
        self._reconnects = reconnects
        self._broke: MpError | None = None
        self._explain = explain
        self._lanes = Lanes(explain)
        self._looks = Looks(1)
        self._unsent: deque[Ongoing] = deque()
        # Everything that is not settled, by id, save what is with `explain`.
        self._open: dict[str, Ongoing] = {}
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
        else:
            self._forget(ongoing)

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
            self._lanes, self._looks = Lanes(self._explain), Looks(1)
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
        message = ongoing.hand_out()
        if message is None:
            return b""  # it was cancelled this moment
        try:
            frames = self._lanes.frames(ongoing, message, frame_max, channel_max)
        except MpError as error:
            ongoing.sent = False
            ongoing.finish(error=error)
            return b""
        return frames + (self._looks.ask(ongoing.name.queue, _teller(ongoing)) if ongoing.looks else b"")

    # -- deadlines and ends ----------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Settle what is due, and find out when the next one is. Raises `BrokerError`."""
        now = monotonic()
        for ongoing in [one for one in self._open.values() if one.done or one.deadline <= now]:
            if ongoing.done:
                self._forget(ongoing)
            else:
                self._give_up(ongoing)
        self.due = min((one.deadline for one in self._open.values()), default=NEVER)

    def _give_up(self, ongoing: Ongoing) -> None:
        """The deadline is over: say why there was no answer, or have it found out."""
        connection, name, timeout = self.connection, ongoing.name, ongoing.timeout
        if connection is None:
            self._settle(ongoing, unexplained(name, timeout, BrokerUnreachable("the broker does not answer in time")))
        elif not ongoing.replies:
            self._settle(ongoing, unconfirmed(connection.url, name, timeout, connection.blocked))
        elif connection.blocked or not ongoing.sent:
            self._settle(ongoing, held_back(name, timeout, connection.blocked))
        else:
            self._forget(ongoing)
            self._explain(ongoing, None)

    def _settle(self, ongoing: Ongoing, error: MpError) -> None:
        self._forget(ongoing)
        ongoing.finish(error=error)

    def _forget(self, ongoing: Ongoing) -> None:
        """It is done, or with somebody else."""
        if self._open.pop(ongoing.id, None) is not None:
            self._lanes.forget(ongoing)

    def lose(self, error: MpError) -> None:
        """The connection is gone, or there was none to be had: what was sent fails, what was not is sent over the next
        one, or fails too when there is to be none."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        self._lanes, self._looks, self._out = Lanes(self._explain), Looks(1), []
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
