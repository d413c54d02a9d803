"""Letting a message wait on RabbitMQ until its `eta`, as `mpcli.bus.delay` does it, over a connection of `mp`'s own."""

from __future__ import annotations

from mpcli.bus.delay import FIRST_EXCHANGE, LAST_EXCHANGE, Delay, delayed_binding
from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerRefused
from mpcli.wire.connection import Connection
from mpcli.wire.methods import CHANNEL_OPEN, EXCHANGE_BIND, EXCHANGE_DECLARE, QUEUE_BIND
from mpcli.wire.refusal import NOT_FOUND

_CHANNEL = 13
_BITS = 28


def delayed_route(connection: Connection, name: TaskName, delay: Delay) -> tuple[str, str]:
    """Exchange and routing key to publish to, of a task whose queue exists: the cascade's, or else its own, where the
    worker holds the message until its time has come. Raises `BrokerError`."""
    if delay.waits and lets_wait(connection, name):
        return waiting_route(name, delay)
    return name.exchange, name.routing_key


def lets_wait(connection: Connection, name: TaskName) -> bool:
    """Whether the broker has the cascade, which is then bound to the task's queue. Raises `BrokerError`."""
    connection.request(CHANNEL_OPEN, channel=_CHANNEL)
    try:
        connection.request(
            EXCHANGE_DECLARE, FIRST_EXCHANGE, "topic", True, False, False, False, False, {}, channel=_CHANNEL
        )
    except BrokerRefused as error:
        if error.code != NOT_FOUND:
            raise
        return False  # no service with a quorum queue ever ran here
    key = delayed_binding(name)
    connection.request(EXCHANGE_BIND, name.exchange, LAST_EXCHANGE, key, False, {}, channel=_CHANNEL)
    connection.request(QUEUE_BIND, name.queue, name.exchange, key, False, {}, channel=_CHANNEL)
    return True


def waiting_route(name: TaskName, delay: Delay) -> tuple[str, str]:
    """Exchange and routing key of the cascade, for a delay that waits."""
    return FIRST_EXCHANGE, delayed_key(delay.seconds, name.routing_key)


def delayed_key(seconds: int, routing_key: str) -> str:
    """A word for each bit of the seconds, the highest first (kombu.transport.native_delayed_delivery)."""
    return f"{'.'.join(f'{seconds:0{_BITS}b}')}.{routing_key}"
