"""The methods of class queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.arguments import (
    CLASSIC,
    QUORUM,
    STREAM,
    check_name_argument,
    check_queue,
    known_arguments,
    queue_type,
    refuse_stream,
)
from mpcli.brokers.embedded.broker import REPLY_TO
from mpcli.brokers.embedded.equivalence import assert_same, assert_same_arguments
from mpcli.brokers.embedded.exchange import Exchange
from mpcli.brokers.embedded.exchange_methods import check_new_name, clean, refuse_default
from mpcli.brokers.embedded.queue import Queue
from mpcli.brokers.embedded.refusal import Refusal, not_found, precondition
from mpcli.wire.codec import Table
from mpcli.wire.methods import (
    QUEUE_BIND,
    QUEUE_BIND_OK,
    QUEUE_DECLARE,
    QUEUE_DECLARE_OK,
    QUEUE_DELETE,
    QUEUE_DELETE_OK,
    QUEUE_PURGE,
    QUEUE_PURGE_OK,
    QUEUE_UNBIND,
    QUEUE_UNBIND_OK,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel


def named(channel: Channel, name: str) -> str:
    """The queue's name: the empty one stands for the queue last declared on the channel."""
    if name:
        return name
    if not channel.last_queue:
        raise Refusal("NOT_FOUND", "no previously declared queue")
    return channel.last_queue


def accessible(channel: Channel, name: str) -> Queue:
    """The queue of that name. Raises 404, or 405 when it belongs to another connection."""
    queue = channel.vhost.queues.get(name)
    if queue is None:
        raise not_found("queue", name, channel.vhost.name)
    check_owner(channel, queue)
    return queue


def check_owner(channel: Channel, queue: Queue, *, exclusive: bool | None = None) -> None:
    """405 for the exclusive queue of another connection, and for another `exclusive` than it was declared with."""
    mine = (
        queue.owner in (None, channel.connection)
        if exclusive is None
        else queue.owner is (channel.connection if exclusive else None)
    )
    if not mine:
        raise Refusal(
            "RESOURCE_LOCKED",
            f"cannot obtain exclusive access to locked {queue.resource}. It could be originally declared on another "
            "connection or the exclusive property value does not match that of the original declaration.",
        )


def _declare(
    channel: Channel,
    name: str,
    passive: bool,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    name = clean(name)
    if name.startswith(REPLY_TO):
        _declare_reply(channel, name, nowait)
        return
    if passive:
        queue = accessible(channel, name)
    else:
        queue = _declared(channel, name, durable, exclusive, auto_delete, arguments)
    queue.touch()
    channel.last_queue = queue.name
    if not nowait:
        channel.send(QUEUE_DECLARE_OK, queue.name, queue.backlog.count, queue.consumers.count)


def _declare_reply(channel: Channel, name: str, nowait: bool) -> None:
    # A caller that asks whether somebody still waits for its direct reply; the name that stands for all is there.
    if name != REPLY_TO and name not in channel.broker.replies:
        raise not_found("queue", name, channel.vhost.name)
    if not nowait:
        channel.send(QUEUE_DECLARE_OK, name, 0, 1)


def _declared(
    channel: Channel, name: str, durable: bool, exclusive: bool, auto_delete: bool, arguments: Table
) -> Queue:
    vhost = channel.vhost
    durable = durable and not exclusive
    if not name:
        name = _generated_name(channel, arguments)
    else:
        # Unlike that of an exchange, even if it is there: who was given a name may declare it passively.
        check_new_name("queue", name)
        existing = vhost.queues.get(name)
        if existing is not None:
            check_owner(channel, existing, exclusive=exclusive)
            assert_same(existing.durable, durable, "durable", existing.resource)
            assert_same(existing.auto_delete, auto_delete, "auto_delete", existing.resource)
            assert_same_arguments(existing.arguments, arguments, known_arguments(existing.kind), existing.resource)
            return existing
    resource = f"queue '{name}' in vhost '{vhost.name}'"
    check_name_argument(arguments, "x-dead-letter-exchange", resource)
    kind = queue_type(arguments, resource)
    if kind == STREAM:
        raise refuse_stream(resource)
    check_queue(arguments, kind, resource)
    if kind == QUORUM:
        _check_quorum(durable, exclusive, auto_delete, resource)
    owner = channel.connection if exclusive else None
    return vhost.add_queue(name, kind, durable=durable, owner=owner, auto_delete=auto_delete, arguments=arguments)


def _generated_name(channel: Channel, arguments: Table) -> str:
    kind = queue_type(arguments, f"queue '' in vhost '{channel.vhost.name}'")
    if kind != CLASSIC:
        raise precondition(f"Cannot declare a server-named queue for type rabbit_{kind}_queue")
    return f"amq.gen-{secrets.token_urlsafe(16)}"


def _check_quorum(durable: bool, exclusive: bool, auto_delete: bool, resource: str) -> None:
    for wrong, name in ((auto_delete, "auto-delete"), (exclusive, "exclusive-owner"), (not durable, "non-durable")):
        if wrong:
            raise precondition(f"invalid property '{name}' for {resource}")


def _ends(channel: Channel, queue_name: str, exchange_name: str) -> tuple[Exchange | None, Queue | None]:
    name, source = clean(named(channel, queue_name)), clean(exchange_name)
    refuse_default(source)
    return channel.vhost.exchanges.get(source), channel.vhost.queues.get(name)


def _key(channel: Channel, queue_name: str, key: str) -> str:
    return channel.last_queue if not queue_name and not key else key


def _bind(channel: Channel, name: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    exchange, queue = _ends(channel, name, source)
    if exchange is None:
        raise not_found("exchange", clean(source), channel.vhost.name)
    if queue is None:
        raise not_found("queue", clean(named(channel, name)), channel.vhost.name)
    exchange.check_binding(arguments)
    check_owner(channel, queue)
    channel.vhost.bind(exchange, queue, _key(channel, name, key), arguments)
    if not nowait:
        channel.send(QUEUE_BIND_OK)


def _unbind(channel: Channel, name: str, source: str, key: str, arguments: Table) -> None:
    exchange, queue = _ends(channel, name, source)
    key = _key(channel, name, key)
    if exchange is not None and queue is not None and exchange.is_bound(queue, key, arguments):
        check_owner(channel, queue)
        channel.vhost.unbind(exchange, queue, key, arguments)
    channel.send(QUEUE_UNBIND_OK)


def _purge(channel: Channel, name: str, nowait: bool) -> None:
    count = accessible(channel, named(channel, name)).purge()
    if not nowait:
        channel.send(QUEUE_PURGE_OK, count)


def _delete(channel: Channel, name: str, if_unused: bool, if_empty: bool, nowait: bool) -> None:
    name = clean(named(channel, name))
    count = 0
    if name in channel.vhost.queues:
        queue = accessible(channel, name)
        _check_delete(queue, if_unused, if_empty)
        count = channel.vhost.delete_queue(queue)
    if not nowait:
        channel.send(QUEUE_DELETE_OK, count)


def _check_delete(queue: Queue, if_unused: bool, if_empty: bool) -> None:
    if queue.kind == QUORUM:
        for wrong, flag in ((if_unused, "if-unused"), (if_empty, "if-empty")):
            if wrong:
                raise Refusal(
                    "NOT_IMPLEMENTED",
                    f"cannot delete {queue.resource}. queue.delete operations with {flag} flag set are not supported "
                    "by quorum queues",
                )
    if if_empty and queue.backlog.count:
        raise precondition(f"{queue.resource} not empty")
    if if_unused and queue.consumers.count:
        raise precondition(f"{queue.resource} in use")


HANDLERS: dict[int, Callable[..., None]] = {
    QUEUE_DECLARE.id: _declare,
    QUEUE_BIND.id: _bind,
    QUEUE_UNBIND.id: _unbind,
    QUEUE_PURGE.id: _purge,
    QUEUE_DELETE.id: _delete,
}
