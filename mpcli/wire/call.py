"""One task, called or sent, over a connection of its own.

A call is one write and one answer: the handshake, a consumer on RabbitMQ's direct reply-to, the publish, and a passive
look at the queue go out together (https://www.rabbitmq.com/docs/direct-reply-to). No queue is declared, none is left.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerError, Interrupted, MpError, NoReply
from mpcli.wire.celery_message import Pending, TaskMessage, async_message, read_reply, sync_message
from mpcli.wire.connection import Connection
from mpcli.wire.frames import encode_content
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import (
    BASIC_ACK,
    BASIC_CONSUME,
    BASIC_DELIVER,
    BASIC_NACK,
    BASIC_PUBLISH,
    BASIC_RETURN,
    CHANNEL_OPEN,
    CONFIRM_SELECT,
    QUEUE_DECLARE,
    QUEUE_DECLARE_OK,
)
from mpcli.wire.properties import encode_properties
from mpcli.wire.verdict import not_kept, unbound, unconfirmed, undelivered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.bus.delay import Delay
    from mpcli.wire.control import Control
    from mpcli.wire.hops import Hops

REPLY_TO = "amq.rabbitmq.reply-to"
_WORK, _LOOK = 1, 2  # the channel that works, and the one whose close by the broker does no harm
_AGAIN = 15  # to look once more, when something is wrong
_CONFIRM_WAIT = 10.0
_LOOK_WAIT = 1.0
_IMPATIENT = 1.0
_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})


def call(
    urls: str,
    name: TaskName,
    args: list[object],
    kwargs: dict[str, object],
    *,
    timeout: float,
    nobody: Callable[[], None] | None = None,
    hops: Hops | None = None,
    told: Callable[[str], None] | None = None,
) -> object:
    """Call a sync task and return its result, within `timeout` seconds.

    `nobody` is called at once when no worker listens on the queue; it may raise to give up, else the wait goes on, for
    one may come. `told` hears after a second what the workers do meanwhile. `hops` are noted at the price of one more
    round trip. Raises `UnknownService`, `UnknownTask`, `RemoteError`, `NoReply`, `BrokerError`, `EncodingFailed`, and
    `Interrupted` after Ctrl-C, when what had not begun was revoked.
    """
    deadline = monotonic() + timeout
    message = sync_message(str(name), args, kwargs, REPLY_TO, timeout)
    progress = _Progress()

    def work(frame_max: int) -> bytes:
        progress.is_sent = True
        return _call_frames(name, message, frame_max)

    def first(frame_max: int) -> bytes:
        return work(frame_max) if hops is None else hops.listening(message.id)

    if hops is not None:
        hops.begin(monotonic())
    try:
        with connect(urls, timeout=min(timeout, CONNECT_TIMEOUT), first=first, name=f"mp call {name}") as connection:
            progress.is_connected = True
            if hops is not None:
                hops.connected(connection)
                connection.send(work(connection.frame_max))
                hops.mark("published")
            asker = _Asker(connection, progress, name, message.id)
            try:
                return _await_reply(asker, deadline, nobody, hops, told)
            except TimeoutError:
                raise asker.no_reply(timeout) from None
            except KeyboardInterrupt:
                raise asker.interrupted(deadline) from None
            finally:
                if hops is not None:
                    hops.finish(connection)
    except KeyboardInterrupt:  # around the wait, or the second one
        raise _unasked(name, timeout, progress) from None


class _Progress:
    """How far a call has come, for whoever interrupts it."""

    __slots__ = ("is_connected", "is_ended", "is_sent")

    def __init__(self) -> None:
        self.is_sent = self.is_connected = self.is_ended = False


def _unasked(name: TaskName, timeout: float, progress: _Progress) -> Interrupted:
    """What is known of an interrupted call that the workers were not asked about."""
    if progress.is_ended:
        from mpcli.wire.interruption import had_ended

        return had_ended(name)
    if not progress.is_sent:
        return Interrupted(f"interrupted before there was a connection: {name} was not called")
    expiry = f"what has begun runs on, and what has not expires in {timeout:g} s"
    if progress.is_connected:
        return Interrupted(f"interrupted: whether {name} has begun is not known", expiry)
    # The call went out with the handshake: it may be with a worker before we hear of the connection.
    return Interrupted(
        f"interrupted before the broker answered: whether {name} was called is not known", f"if it was, {expiry}"
    )


def _call_frames(name: TaskName, message: TaskMessage, frame_max: int) -> bytes:
    """Listen for the reply, publish, look at the queue."""
    return (
        BASIC_CONSUME.frame(_WORK, REPLY_TO, "", False, True, False, False, {})
        + publish_frames(_WORK, name, message, frame_max)
        + look_frames(name.queue)
    )


def publish_frames(
    channel: int, name: TaskName, message: TaskMessage, frame_max: int, route: tuple[str, str] | None = None
) -> bytes:
    """The frames that publish a task to its service, or on the `route` of exchange and routing key, to be returned when
    no queue takes it."""
    exchange, routing_key = route or (name.exchange, name.routing_key)
    return BASIC_PUBLISH.frame(channel, exchange, routing_key, True, False) + encode_content(
        channel, encode_properties(message.properties), message.body, frame_max
    )


def look_frames(queue: str, channel: int = _LOOK) -> bytes:
    """Open a channel and ask for the queue's messages and consumers. A missing queue closes that channel only."""
    return CHANNEL_OPEN.frame(channel) + QUEUE_DECLARE.frame(channel, queue, *_PASSIVE)


class _Asker:
    """Asks the workers what is with a call, over its connection; most calls never need that."""

    def __init__(self, connection: Connection, progress: _Progress, name: TaskName, task_id: str) -> None:
        self.connection = connection
        self.progress = progress
        self.name = name
        self.task_id = task_id
        self._control: Control | None = None

    def control(self) -> Control:
        if self._control is None:
            from mpcli.wire.control import Control

            self._control = Control(self.connection)
        return self._control

    def no_reply(self, timeout: float) -> NoReply:
        """What to tell when the time is up."""
        from mpcli.wire.diagnosis import no_replies

        return no_replies(self.control(), self.name, {self.task_id: timeout})[self.task_id]

    def interrupted(self, deadline: float) -> Interrupted:
        """What to tell after Ctrl-C, when what had not begun was revoked."""
        from mpcli.wire.interruption import had_ended, interrupted_calls, not_revoked

        if self.progress.is_ended:
            return had_ended(self.name)
        control = self.control()
        try:
            told = interrupted_calls(control, self.name, {self.task_id: deadline})[self.task_id]
        except BrokerError as error:
            return not_revoked(self.name, deadline, error)
        return next(filter(None, map(self._end, control.passed)), told)

    def _end(self, incoming: Incoming) -> Interrupted | None:
        """What it says of the end of the task, as a reply; None for all else, also for the word that it has begun."""
        from mpcli.wire.interruption import had_ended, was_revoked

        if incoming.method is not BASIC_DELIVER or incoming.channel != _WORK:
            return None
        try:
            read_reply(self.name, self.task_id, incoming.properties, incoming.body)
        except Pending:
            return None
        except MpError as error:
            if isinstance(error, NoReply) and error.never_ran:
                return was_revoked(self.name)
        return had_ended(self.name)

    def tell(self, told: Callable[[str], None]) -> list[Incoming]:
        """Tell what the workers do; what came for the call meanwhile is given back."""
        from mpcli.wire.diagnosis import so_far

        control = self.control()
        try:
            text = so_far(control, self.name, self.task_id)
        except BrokerError:
            text = ""  # the call itself will tell what is wrong
        passed, control.passed = control.passed, []
        if text and not any(incoming.method is BASIC_DELIVER for incoming in passed):
            told(f"{self.name} {text}")
        return passed


def _await_reply(
    asker: _Asker,
    deadline: float,
    nobody: Callable[[], None] | None,
    hops: Hops | None,
    told: Callable[[str], None] | None,
) -> object:
    connection = asker.connection
    passed: list[Incoming] = []
    until = min(deadline, monotonic() + _IMPATIENT) if told else deadline
    while True:
        try:
            incoming = passed.pop(0) if passed else connection.receive(until)
        except TimeoutError:
            if told is None or until == deadline:
                raise
            until = deadline
            passed = asker.tell(told)
            continue
        if hops is not None and hops.take(incoming):
            continue
        if incoming.method is BASIC_DELIVER:
            asker.progress.is_ended = True
            if hops is not None:
                hops.mark("replied")
            try:
                return read_reply(asker.name, asker.task_id, incoming.properties, incoming.body)
            except Pending:
                asker.progress.is_ended = False
                continue
        if incoming.channel == _LOOK:
            if incoming.method is QUEUE_DECLARE_OK and incoming.values[2] == 0 and nobody:
                nobody()
                told, until = None, deadline  # that is what it waits for
            continue
        raise_undelivered(connection, asker.name, incoming)


def raise_undelivered(connection: Connection, name: TaskName, incoming: Incoming) -> None:
    """Raise when the broker gives a publish back or closes the channel for it; return when it is something else."""
    if error := undelivered(connection.url, name, incoming):
        raise unbound(name) if incoming.method is BASIC_RETURN and has_queue(connection, name) else error


def has_queue(connection: Connection, name: TaskName) -> bool:
    """Whether the queue of a task that came back is there; asked once for each connection."""
    try:
        connection.send(look_frames(name.queue, _AGAIN), _LOOK_WAIT)
        connection.answer(QUEUE_DECLARE, channel=_AGAIN, deadline=monotonic() + _LOOK_WAIT)
    except BrokerError:
        return False
    return True


def send(
    connection: Connection,
    name: TaskName,
    args: list[object],
    kwargs: dict[str, object],
    delay: Delay | None = None,
    hops: Hops | None = None,
) -> str:
    """Publish an async task over an open connection and return its id once the broker has it safe.

    With a `delay` its queue must exist: no return of the broker tells after the wait that it does not. Raises
    `UnknownService`, `BrokerError`, `EncodingFailed`, and `Interrupted` after Ctrl-C.
    """
    message = async_message(str(name), args, kwargs, delay.headers() if delay else None)
    route = None
    if delay is not None:
        from mpcli.wire.delay import delayed_route

        route = delayed_route(connection, name, delay)
    publish = publish_frames(_WORK, name, message, connection.frame_max, route)
    deadline = monotonic() + _CONFIRM_WAIT
    try:
        connection.send(CONFIRM_SELECT.frame(_WORK, False) + publish, _CONFIRM_WAIT)
        if hops is not None:
            hops.mark("published")
        _await_confirm(connection, name, deadline)
        if hops is not None:
            hops.mark("confirmed")
    except KeyboardInterrupt:
        from mpcli.wire.interruption import interrupted_send

        raise interrupted_send(name, message.id) from None
    except TimeoutError:
        raise unconfirmed(connection.url, name, _CONFIRM_WAIT, connection.blocked) from None
    return message.id


def _await_confirm(connection: Connection, name: TaskName, deadline: float) -> None:
    while (incoming := connection.receive(deadline)).method is not BASIC_ACK:
        if incoming.method is BASIC_NACK:
            raise not_kept(connection.url, name)
        if incoming.channel == _WORK:  # what was asked on other channels may fail as it likes
            raise_undelivered(connection, name, incoming)
