"""Whether a process does its work: asked of the thing itself, never guessed from time."""

from __future__ import annotations

import asyncio
import contextlib

from mpcli.platform.processes import AmqpPort, Consumers, Readiness, TcpPort
from mpcli.wire.frames import FRAME_METHOD, PROTOCOL_HEADER

# Seconds for one question, and between two. The second also bounds how late readiness is noticed.
_ANSWER = 2.0
PORT_INTERVAL = 0.02
CONSUMERS_INTERVAL = 0.3


def interval(readiness: Readiness) -> float:
    """How long to wait between two questions, in seconds: a port costs nothing to ask, a broker a handshake."""
    return CONSUMERS_INTERVAL if isinstance(readiness, Consumers) else PORT_INTERVAL


async def is_ready(readiness: Readiness) -> bool:
    """Ask once. False for every kind of no, a broker that does not answer in time included."""
    try:
        async with asyncio.timeout(_ANSWER):
            if isinstance(readiness, Consumers):
                return await asyncio.to_thread(_has_consumers, readiness)
            return await _port_answers(readiness)
    except (OSError, TimeoutError, EOFError):
        return False


async def _port_answers(readiness: AmqpPort | TcpPort) -> bool:
    reader, writer = await asyncio.open_connection(readiness.host, readiness.port)
    try:
        if isinstance(readiness, TcpPort):
            return True
        writer.write(PROTOCOL_HEADER)
        return (await reader.readexactly(1))[0] == FRAME_METHOD
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _has_consumers(readiness: Consumers) -> bool:
    from mpcli.errors import BrokerError
    from mpcli.wire.handshake import connect
    from mpcli.wire.methods import QUEUE_DECLARE

    try:
        with connect(readiness.url, timeout=_ANSWER, name="mp up") as connection:
            # passive: only looks, makes nothing
            answer = connection.request(QUEUE_DECLARE, readiness.queue, *(True, *[False] * 4, {}), wait=_ANSWER)
    except BrokerError:
        return False  # no such queue yet, or the broker is busy: the worker's own log tells what is wrong
    return int(str(answer[2])) >= readiness.count
