"""The exchange, the queues and the bindings of a service as kombu objects, and their declaration.

What is declared where: the sync broker holds the exchange `mplogin` and the queue `mplogin.sync`; the async broker the
exchange `mplogin`, the queue `mplogin.async`, and behind it the exchange and the queue `mplogin.dead`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kombu import Exchange, Queue

from mpcli.bus.naming import Mode, binding_key, check_service, dead_letter_exchange, dead_letter_queue, queue_name
from mpcli.errors import BrokerRefused

# A message that was delivered this many times beyond the first, each time to a worker that died, goes to the dead
# letters. Low, because each try kills a worker; above 1, because a deployment also kills workers.
DELIVERY_LIMIT = 3
DELIVERY_MODES = {Mode.SYNC: 1, Mode.ASYNC: 2}
# RabbitMQ's wording, rabbit_misc:assert_args_equivalence: "inequivalent arg 'x-delivery-limit' for queue
# 'mplogin.async' in vhost '/': received '5' but current is '3'". A typed value reads
# "the value 'quorum' of type 'longstr'".
_CONFLICT = re.compile(
    r"inequivalent arg '(?P<key>[^']+)' for (?P<kind>\w+) '(?P<name>[^']*)' in vhost '[^']*': "
    r"received (?P<wanted>.+?) but current is (?P<current>.+)"
)
_TYPED_VALUE = re.compile(r"the value '(.*)' of type '.*'")


def service_exchange(service: str, mode: Mode) -> Any:
    """The topic exchange of the service, which exists on both brokers."""
    return Exchange(service, type="topic", durable=True, delivery_mode=DELIVERY_MODES[mode])


def service_queue(service: str, mode: Mode) -> Any:
    """The queue that the mode's workers consume, bound to the service's exchange."""
    return Queue(
        queue_name(service, mode),
        exchange=service_exchange(service, mode),
        routing_key=binding_key(service, mode),
        durable=True,
        queue_arguments=_async_arguments(service) if mode is Mode.ASYNC else None,
    )


def _async_arguments(service: str) -> dict[str, object]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": dead_letter_exchange(service),
    }


def dead_queue(service: str) -> Any:
    """The dead-letter queue of the service behind its fanout exchange."""
    exchange = Exchange(dead_letter_exchange(service), type="fanout", durable=True, delivery_mode=2)
    return Queue(
        dead_letter_queue(service), exchange=exchange, durable=True, queue_arguments={"x-queue-type": "quorum"}
    )


def service_queues(service: str, mode: Mode) -> list[Any]:
    """Every queue that one mode of the service needs; the dead letters first, so that none is lost in between."""
    queue = service_queue(service, mode)
    return [dead_queue(service), queue] if mode is Mode.ASYNC else [queue]


def declare_topology(
    services: str | Iterable[str],
    urls: Mapping[Mode, str],
    modes: Iterable[Mode] = tuple(Mode),
    timeout: float = 10.0,
) -> None:
    """Declare all that the services need on their brokers; what is there already stays as it is.

    `timeout` is in seconds, for connecting and for each answer. Raises `InvalidName` before anything is declared,
    `BrokerUnreachable`, and `BrokerRefused`, for a conflict with both values.
    """
    names = [services] if isinstance(services, str) else list(services)
    for name in names:
        check_service(name, prefix="")
    for mode in modes:
        if mode in urls and names:
            _declare_on(urls[mode], names, mode, timeout)


def _declare_on(url: str, names: list[str], mode: Mode, timeout: float) -> None:
    from mpcli.bus.connecting import connect

    connection = connect(url, timeout)
    try:
        declare(names, mode, connection)
    finally:
        connection.collect()


def declare(services: Iterable[str], mode: Mode, connection: Any) -> None:
    """Declare on an open py-amqp connection. Raises `BrokerRefused` or `BrokerUnreachable`."""
    from amqp.exceptions import AMQPError

    from mpcli.bus.connecting import broker_error

    try:
        channel = connection.channel()
        for service in services:
            for queue in service_queues(service, mode):
                queue.bind(channel).declare()
        if mode is Mode.ASYNC:
            _declare_delays(channel, services)
        channel.close()
    except (AMQPError, OSError) as error:
        raise conflict(error) or broker_error(error, connection.host, "declaring the topology") from error


def _declare_delays(channel: Any, services: Iterable[str]) -> None:
    """The exchanges and queues in which messages with a delay wait, as a Celery worker on a quorum queue declares them.

    Without them the first delayed message to a service that never ran would have nowhere to wait.
    """
    from kombu.transport.native_delayed_delivery import (
        bind_queue_to_native_delayed_delivery_exchange,
        declare_native_delayed_delivery_exchanges_and_queues,
    )

    holder = _ChannelHolder(channel)
    declare_native_delayed_delivery_exchanges_and_queues(holder, "quorum")
    for service in services:
        bind_queue_to_native_delayed_delivery_exchange(holder, service_queue(service, Mode.ASYNC))


class _ChannelHolder:
    """What kombu's functions want of a connection: a channel, always the same one."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def channel(self) -> Any:
        return self._channel


def conflict(error: BaseException) -> BrokerRefused | None:
    """The error that tells both values, when `error` is a 406 about a declaration that differs from what exists."""
    found = _CONFLICT.search(str(error))
    if found is None:
        return None
    kind, name, key = found["kind"], found["name"], found["key"]
    current, wanted = _value(found["current"]), _value(found["wanted"])
    return BrokerRefused(
        f"{kind} {name} exists on the broker with {key} = {current}; this service declares {key} = {wanted}",
        f"empty and delete the {kind} {name}, then start again; the broker never changes one that exists",
    )


def _value(text: str) -> str:
    text = text.strip().rstrip(".")
    typed = _TYPED_VALUE.match(text)
    return typed[1] if typed else text.strip("'")
