"""The methods of class basic, publish excepted, channel.flow and access.request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.arguments import QUORUM, check_consumer
from mpcli.brokers.embedded.broker import REPLY_TO
from mpcli.brokers.embedded.consumers import Consumer
from mpcli.brokers.embedded.queue_methods import accessible, named
from mpcli.brokers.embedded.refusal import Refusal, precondition
from mpcli.wire.codec import Table, encode_shortstr
from mpcli.wire.methods import (
    ACCESS_REQUEST,
    ACCESS_REQUEST_OK,
    BASIC_ACK,
    BASIC_CANCEL,
    BASIC_CANCEL_OK,
    BASIC_CONSUME,
    BASIC_CONSUME_OK,
    BASIC_DELIVER,
    BASIC_GET,
    BASIC_GET_EMPTY,
    BASIC_NACK,
    BASIC_QOS,
    BASIC_QOS_OK,
    BASIC_RECOVER,
    BASIC_RECOVER_ASYNC,
    BASIC_RECOVER_OK,
    BASIC_REJECT,
    CHANNEL_FLOW,
    CHANNEL_FLOW_OK,
    CHANNEL_OPEN,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel


def _open(_channel: Channel) -> None:
    raise Refusal("CHANNEL_ERROR", "second 'channel.open' seen")


def _access(channel: Channel, *_realm_and_wishes: object) -> None:
    channel.send(ACCESS_REQUEST_OK, 1)


def _flow(channel: Channel, active: bool) -> None:
    if not active:
        raise Refusal("NOT_IMPLEMENTED", "active=false")
    channel.send(CHANNEL_FLOW_OK, True)


def _qos(channel: Channel, size: int, count: int, for_channel: bool) -> None:
    if size:
        raise Refusal("NOT_IMPLEMENTED", f"prefetch_size!=0 ({size})")
    if for_channel:
        channel.global_limit = count
    else:
        # As in RabbitMQ, the count for each consumer ends the shared one.
        channel.prefetch, channel.global_limit = count, 0
    channel.send(BASIC_QOS_OK)
    channel.drain_all()


# -- consuming -----------------------------------------------------------------------------------------------------


def _consume(
    channel: Channel,
    name: str,
    tag: str,
    _no_local: bool,
    no_ack: bool,
    exclusive: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    name = named(channel, name)
    if tag in channel.consumers:
        raise Refusal("NOT_ALLOWED", f"attempt to reuse consumer tag '{tag}'")
    if name == REPLY_TO:
        _consume_replies(channel, tag, no_ack, nowait)
        return
    queue = accessible(channel, name)
    check_consumer(arguments, queue.kind, queue.resource)
    if queue.kind == QUORUM and channel.global_limit:
        raise Refusal("NOT_IMPLEMENTED", f"{queue.resource} does not support global qos")
    # As in RabbitMQ 3.10, nobody is alone on a quorum queue, whatever it asks for.
    exclusive = exclusive and queue.kind != QUORUM
    if queue.consumers.exclusive or (exclusive and (queue.consumers.count or queue.settings.single_active)):
        raise Refusal("ACCESS_REFUSED", f"{queue.resource} in exclusive use")
    consumer = Consumer(
        channel,
        queue,
        tag or _generated_tag(),
        no_ack=no_ack,
        exclusive=exclusive,
        limit=channel.prefetch,
        arguments=arguments,
    )
    channel.consumers[consumer.tag] = consumer
    queue.add_consumer(consumer)
    if not nowait:
        channel.send(BASIC_CONSUME_OK, consumer.tag)
    queue.drain()


def _generated_tag() -> str:
    return f"amq.ctag-{secrets.token_urlsafe(16)}"


def _consume_replies(channel: Channel, tag: str, no_ack: bool, nowait: bool) -> None:
    if not no_ack:
        raise precondition("reply consumer cannot acknowledge")
    if channel.reply_key:
        raise precondition("reply consumer already set")
    tag = tag or _generated_tag()
    channel.reply_key = channel.broker.new_reply_key(channel)
    channel.reply_tag = tag
    channel.reply_consumer = BASIC_DELIVER.prefix + encode_shortstr(tag)
    if not nowait:
        channel.send(BASIC_CONSUME_OK, tag)


def _cancel(channel: Channel, tag: str, nowait: bool) -> None:
    consumer = channel.consumers.pop(tag, None)
    if consumer is not None:
        consumer.queue.remove_consumer(consumer)
    elif channel.reply_key and channel.reply_tag == tag:
        channel.forget_reply()
    if not nowait:
        channel.send(BASIC_CANCEL_OK, tag)


def _get(channel: Channel, name: str, no_ack: bool) -> None:
    queue = accessible(channel, named(channel, name))
    if queue.kind == QUORUM and queue.settings.single_active:
        raise Refusal(
            "RESOURCE_LOCKED",
            f"cannot obtain access to locked {queue.resource}. basic.get operations are not supported by quorum "
            "queues with single active consumer",
        )
    entry = queue.get()
    if entry is None:
        channel.send(BASIC_GET_EMPTY)
    else:
        channel.deliver_got(queue, entry, no_ack)


# -- settling ------------------------------------------------------------------------------------------------------


def _ack(channel: Channel, tag: int, multiple: bool) -> None:
    deliveries = channel.take(tag, multiple)
    if channel.tx is not None:
        channel.tx.append(("ack", deliveries))
    else:
        channel.acked(deliveries)


def _nack(channel: Channel, tag: int, multiple: bool, requeue: bool) -> None:
    deliveries = channel.take(tag, multiple)
    if channel.tx is not None:
        channel.tx.append(("requeue" if requeue else "reject", deliveries))
    else:
        channel.returned(deliveries, requeue)


def _reject(channel: Channel, tag: int, requeue: bool) -> None:
    _nack(channel, tag, False, requeue)


def _recover_async(channel: Channel, requeue: bool) -> None:
    if not requeue:
        raise Refusal("NOT_IMPLEMENTED", "requeue=false")
    if channel.unacked:
        channel.returned(channel.take(0, True), True)


def _recover(channel: Channel, requeue: bool) -> None:
    if requeue:
        # The answer goes first, what is delivered again comes behind it.
        channel.send(BASIC_RECOVER_OK)
    _recover_async(channel, requeue)


HANDLERS: dict[int, Callable[..., None]] = {
    CHANNEL_OPEN.id: _open,
    CHANNEL_FLOW.id: _flow,
    ACCESS_REQUEST.id: _access,
    BASIC_QOS.id: _qos,
    BASIC_CONSUME.id: _consume,
    BASIC_CANCEL.id: _cancel,
    BASIC_GET.id: _get,
    BASIC_ACK.id: _ack,
    BASIC_NACK.id: _nack,
    BASIC_REJECT.id: _reject,
    BASIC_RECOVER_ASYNC.id: _recover_async,
    BASIC_RECOVER.id: _recover,
}
