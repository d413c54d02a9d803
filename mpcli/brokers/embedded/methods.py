"""Which function carries out which method of a channel."""

from __future__ import annotations

from collections.abc import Callable

from mpcli.brokers.embedded import basic_methods, exchange_methods, queue_methods, transaction_methods

# method id -> function(channel, *fields)
HANDLERS: dict[int, Callable[..., None]] = {
    **exchange_methods.HANDLERS,
    **queue_methods.HANDLERS,
    **basic_methods.HANDLERS,
    **transaction_methods.HANDLERS,
}
