"""The methods of class exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.arguments import check_name_argument
from mpcli.brokers.embedded.equivalence import assert_same, assert_same_arguments
from mpcli.brokers.embedded.exchange import KINDS, Exchange
from mpcli.brokers.embedded.refusal import Refusal, not_found, precondition
from mpcli.wire.codec import Table
from mpcli.wire.methods import (
    EXCHANGE_BIND,
    EXCHANGE_BIND_OK,
    EXCHANGE_DECLARE,
    EXCHANGE_DECLARE_OK,
    EXCHANGE_DELETE,
    EXCHANGE_DELETE_OK,
    EXCHANGE_UNBIND,
    EXCHANGE_UNBIND_OK,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel


def clean(name: str) -> str:
    """RabbitMQ takes line ends out of names."""
    return name.replace("\n", "").replace("\r", "")


def refuse_default(name: str) -> None:
    """403 for the default exchange, which nobody may change."""
    if not name:
        raise Refusal("ACCESS_REFUSED", "operation not permitted on the default exchange")


def check_new_name(kind: str, name: str) -> None:
    """403 for names that are the broker's own."""
    if name.startswith("amq."):
        raise Refusal("ACCESS_REFUSED", f"{kind} name '{name}' contains reserved prefix 'amq.*'")


def _declare(
    channel: Channel,
    name: str,
    kind: str,
    passive: bool,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    nowait: bool,
    arguments: Table,
) -> None:
    name, vhost = clean(name), channel.vhost
    if not passive and kind not in KINDS:
        # RabbitMQ says `invalid` of a name that Erlang has heard of; the empty one is the only such name that we know.
        raise Refusal("COMMAND_INVALID", f"{'unknown' if kind else 'invalid'} exchange type '{kind}'")
    refuse_default(name)
    exchange = vhost.exchanges.get(name)
    resource = f"exchange '{name}' in vhost '{vhost.name}'"
    if passive:
        if exchange is None:
            raise not_found("exchange", name, vhost.name)
    elif exchange is not None:
        assert_same(exchange.kind, kind, "type", resource)
        assert_same(exchange.durable, durable, "durable", resource)
        assert_same(exchange.auto_delete, auto_delete, "auto_delete", resource)
        assert_same(exchange.internal, internal, "internal", resource)
        assert_same_arguments(exchange.arguments, arguments, ("alternate-exchange",), resource)
    else:
        check_new_name("exchange", name)
        check_name_argument(arguments, "alternate-exchange", resource)
        vhost.add_exchange(
            Exchange(name, kind, durable=durable, auto_delete=auto_delete, internal=internal, arguments=arguments)
        )
    if not nowait:
        channel.send(EXCHANGE_DECLARE_OK)


def _delete(channel: Channel, name: str, if_unused: bool, nowait: bool) -> None:
    name, vhost = clean(name), channel.vhost
    refuse_default(name)
    resource = f"exchange '{name}' in vhost '{vhost.name}'"
    if name.startswith("amq."):
        raise Refusal("ACCESS_REFUSED", f"deletion of system {resource} not allowed")
    exchange = vhost.exchanges.get(name)
    if exchange is not None:
        if if_unused and exchange.bindings:
            raise precondition(f"{resource} in use")
        vhost.delete_exchange(exchange)
    if not nowait:
        channel.send(EXCHANGE_DELETE_OK)


def _pair(channel: Channel, destination: str, source: str) -> tuple[Exchange, Exchange]:
    vhost = channel.vhost
    destination, source = clean(destination), clean(source)
    refuse_default(destination)
    refuse_default(source)
    for name in (source, destination):
        if name not in vhost.exchanges:
            raise not_found("exchange", name, vhost.name)
    return vhost.exchanges[source], vhost.exchanges[destination]


def _bind(channel: Channel, destination: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    exchange, target = _pair(channel, destination, source)
    exchange.check_binding(arguments)
    channel.vhost.bind(exchange, target, key, arguments)
    if not nowait:
        channel.send(EXCHANGE_BIND_OK)


def _unbind(channel: Channel, destination: str, source: str, key: str, nowait: bool, arguments: Table) -> None:
    vhost = channel.vhost
    destination, source = clean(destination), clean(source)
    refuse_default(destination)
    refuse_default(source)
    if source in vhost.exchanges and destination in vhost.exchanges:
        vhost.unbind(vhost.exchanges[source], vhost.exchanges[destination], key, arguments)
    if not nowait:
        channel.send(EXCHANGE_UNBIND_OK)


HANDLERS: dict[int, Callable[..., None]] = {
    EXCHANGE_DECLARE.id: _declare,
    EXCHANGE_DELETE.id: _delete,
    EXCHANGE_BIND.id: _bind,
    EXCHANGE_UNBIND.id: _unbind,
}
