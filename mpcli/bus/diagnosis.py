"""Why no answer came: what the caller knows of its message, and what the broker tells about the queue."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, NamedTuple

from amqp.exceptions import AMQPError

from mpcli.bus.link import Link
from mpcli.bus.naming import TaskName
from mpcli.bus.outlet import Outgoing
from mpcli.bus.urls import address
from mpcli.errors import BrokerUnreachable, MpError, NoReply

# Seconds to ask the broker, on top of the caller's patience.
_PATIENCE = 0.5


class Depth(NamedTuple):
    """A queue's waiting messages and its consumers."""

    messages: int
    consumers: int


def queue_depth(connection: Any, queue: str) -> Depth:
    """Asked by a passive declaration, which changes nothing. Raises py-amqp's `NotFound` when there is no queue."""
    channel = connection.channel()
    declared = channel.queue_declare(queue, passive=True)
    channel.close()
    return Depth(declared.message_count, declared.consumer_count)


def wait_for_depth(link: Link, queue: str) -> Depth | None:
    """What the broker says within half a second, or nothing."""
    try:
        depth: Depth = link.run(lambda connection: queue_depth(connection, queue)).result(_PATIENCE)
    except (concurrent.futures.TimeoutError, MpError, AMQPError):
        return None
    return depth


async def await_depth(link: Link, queue: str) -> Depth | None:
    """The same for an event loop."""
    try:
        asked = link.run(lambda connection: queue_depth(connection, queue))
        depth: Depth = await asyncio.wait_for(asyncio.wrap_future(asked), _PATIENCE)
    except (TimeoutError, MpError, AMQPError):
        return None
    return depth


def no_reply(task: TaskName, outgoing: Outgoing, link: Link, depth: Depth | None) -> MpError:
    """The error for a call whose time is up."""
    if not outgoing.published or not outgoing.confirmed:
        return no_confirmation(task, outgoing, link)
    start = f"{task} did not answer in time"
    if depth is None:
        return NoReply(f"{start}, and the broker says nothing about {task.queue}")
    if depth.consumers == 0:
        return NoReply(
            f"{start}: nobody is listening on {task.queue} (no consumers, {_count(depth.messages)})",
            f"start a worker: `mp worker {task.queue}` or `mp up`; this call has expired and will not run later",
        )
    listening = f"{depth.consumers} worker{'s are' if depth.consumers > 1 else ' is'} listening on {task.queue}"
    if depth.messages:
        return NoReply(
            f"{start}: {listening}, busy ({_count(depth.messages)})",
            "start more workers, or wait longer; a call that no worker took has expired and will not run later",
        )
    return NoReply(
        f"{start}: {listening} and no message is waiting, so a worker took it and may still be running it",
        "wait longer, or look at the worker's log",
    )


def no_confirmation(task: TaskName, outgoing: Outgoing, link: Link) -> MpError:
    """The error for a message of which it is not known that the broker has it."""
    place = address(link.url.partition(";")[0])
    if link.blocked:
        return BrokerUnreachable(
            f"{task} was not taken: the broker at {place} blocks publishers", "its memory or disk is full; see its log"
        )
    if outgoing.published:
        return NoReply(
            f"{task} was sent, and the broker at {place} did not confirm it in time",
            "whether the task runs is not known",
        )
    return BrokerUnreachable(
        f"{task} was not sent: no connection to the broker at {place} in time", "is it overloaded?"
    )


def _count(messages: int) -> str:
    return "1 message waiting" if messages == 1 else f"{messages} messages waiting"
