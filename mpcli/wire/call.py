"""One task, called or sent, over a connection of its own.

A call is one write and one answer: the handshake, a consumer on RabbitMQ's direct reply-to, the publish, and a passive
look at the queue go out together (https://www.rabbitmq.com/docs/direct-reply-to). No queue is declared, none is left.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerRefused, BrokerUnreachable, MpError, NoReply, UnknownService
from mpcli.wire.celery_message import Pending, TaskMessage, async_message, read_reply, sync_message
from mpcli.wire.codec import encode_content, encode_properties
from mpcli.wire.connection import Connection, Incoming
from mpcli.wire.handshake import CONNECT_TIMEOUT, connect
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
    QUEUE_DECLARE,
    QUEUE_DECLARE_OK,
)
from mpcli.wire.refusal import NO_ROUTE, NOT_FOUND

REPLY_TO = "amq.rabbitmq.reply-to"
_WORK, _LOOK = 1, 2  # the channel that works, and the one whose close by the broker does no harm
_CONFIRM_WAIT = 10.0
_DIAGNOSIS_WAIT = 1.0
_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})


def call(
    urls: str,
    name: TaskName,
    args: list[object],
    kwargs: dict[str, object],
    *,
    timeout: float,
    nobody: Callable[[], None] | None = None,
) -> object:
    """Call a sync task and return its result, within `timeout` seconds.

    `nobody` is called at once when no worker listens on the queue; it may raise to give up, else the wait goes on, for
    one may come. Raises `UnknownService`, `UnknownTask`, `RemoteError`, `NoReply`, `BrokerError`, `EncodingFailed`.
    """
    deadline = monotonic() + timeout
    message = sync_message(str(name), args, kwargs, REPLY_TO, timeout)

    def first(frame_max: int) -> bytes:
        return (
            BASIC_CONSUME.frame(_WORK, REPLY_TO, "", False, True, False, False, {})
            + publish_frames(_WORK, name, message, frame_max)
            + look_frames(name.queue)
        )

    with connect(urls, timeout=min(timeout, CONNECT_TIMEOUT), first=first, name=f"mp call {name}") as connection:
        try:
            return _await_reply(connection, name, message.id, deadline, nobody)
        except TimeoutError:
            raise _diagnosis(connection, name, timeout) from None


def publish_frames(channel: int, name: TaskName, message: TaskMessage, frame_max: int) -> bytes:
    """The frames that publish a task to its service, to be returned when no queue takes it."""
    return BASIC_PUBLISH.frame(channel, name.exchange, name.routing_key, True, False) + encode_content(
        channel, encode_properties(message.properties), message.body, frame_max
    )


def look_frames(queue: str, channel: int = _LOOK) -> bytes:
    """Open a channel and ask for the queue's messages and consumers. A missing queue closes that channel only."""
    return CHANNEL_OPEN.frame(channel) + QUEUE_DECLARE.frame(channel, queue, *_PASSIVE)


def _await_reply(
    connection: Connection, name: TaskName, task_id: str, deadline: float, nobody: Callable[[], None] | None
) -> object:
    while True:
        incoming = connection.receive(deadline)
        if incoming.method is BASIC_DELIVER:
            try:
                return read_reply(name, task_id, incoming.properties, incoming.body)
            except Pending:
                continue
        if incoming.channel == _LOOK:
            if incoming.method is QUEUE_DECLARE_OK and incoming.values[2] == 0 and nobody:
                nobody()
            continue
        raise_undelivered(connection, name, incoming)


def raise_undelivered(connection: Connection, name: TaskName, incoming: Incoming) -> None:
    """Raise when the broker gives a publish back or closes the channel for it; return when it is something else."""
    if incoming.method is BASIC_RETURN:
        code, text = incoming.values[:2]
        if code != NO_ROUTE:
            raise BrokerRefused(f"the broker at {connection.url.address} returned {name}: {code} {text}")
        raise UnknownService(
            f"{name.service} has no queue for {name}: its exchange exists, but takes no {name.mode} tasks",
            f"does {name.service} have {name.mode} tasks at all, and was a worker of {name.queue} ever started?",
        )
    if incoming.method is CHANNEL_CLOSE:
        code, text = incoming.values[:2]
        if code == NOT_FOUND and "exchange" in str(text):
            raise UnknownService(
                f"there is no service {name.service} on the {name.mode} broker at {connection.url.address}",
                "`mp tasks` lists what this platform has; a service that never ran is not known to the broker: `mp up`",
            )
        raise connection.refusal(incoming)


def _diagnosis(connection: Connection, name: TaskName, timeout: float) -> NoReply:
    """Why there was no answer: nobody listens, all are busy, or the broker itself is in trouble."""
    begun = f"no reply from {name} in {timeout:g} s"
    if connection.blocked:
        return NoReply(f"{begun}: the broker takes no messages ({connection.blocked})", "free its memory or disk")
    try:
        connection.send(look_frames(name.queue, 3), _DIAGNOSIS_WAIT)
        answer = connection.answer(QUEUE_DECLARE, channel=3, deadline=monotonic() + _DIAGNOSIS_WAIT)
    except BrokerRefused as error:
        return NoReply(f"{begun}: {error.message}", error.hint)
    except BrokerUnreachable as error:
        return NoReply(f"{begun}, and the broker does not answer either: {error.message}", error.hint)
    _, waiting, consumers = answer.values
    if not consumers:
        return NoReply(
            f"{begun}: nobody is listening on {name.queue}",
            "start a worker with `mp up`; this call has expired and will not run later",
        )
    workers = "1 worker is" if consumers == 1 else f"{consumers} workers are"
    return NoReply(
        f"{begun}: {workers} listening on {name.queue}, busy or slow, with {waiting} more calls waiting",
        "give it longer with --timeout; a task that has begun runs on, one that has not will not run later",
    )


def send(connection: Connection, name: TaskName, args: list[object], kwargs: dict[str, object]) -> str:
    """Publish an async task over an open connection and return its id once the broker has it safe.

    Raises `UnknownService`, `BrokerError`, `EncodingFailed`.
    """
    message = async_message(str(name), args, kwargs)
    connection.send(
        CONFIRM_SELECT.frame(_WORK, False) + publish_frames(_WORK, name, message, connection.frame_max), _CONFIRM_WAIT
    )
    deadline = monotonic() + _CONFIRM_WAIT
    try:
        while True:
            incoming = connection.receive(deadline)
            if incoming.method is BASIC_ACK:
                return message.id
            if incoming.method is BASIC_NACK:
                raise BrokerRefused(f"the broker at {connection.url.address} could not keep {name}", "see its log")
            if incoming.channel == _WORK:  # what was asked on other channels may fail as it likes
                raise_undelivered(connection, name, incoming)
    except TimeoutError:
        raise _unconfirmed(connection, name) from None


def _unconfirmed(connection: Connection, name: TaskName) -> MpError:
    why = f": it takes no messages ({connection.blocked})" if connection.blocked else ""
    return BrokerUnreachable(
        f"the broker at {connection.url.address} did not confirm {name} in {_CONFIRM_WAIT:g} s{why}",
        "it may or may not have the message: look before you send it again",
    )
