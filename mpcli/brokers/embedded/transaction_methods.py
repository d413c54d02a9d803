"""Publisher confirms and transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from mpcli.brokers.embedded.refusal import precondition
from mpcli.wire.methods import (
    CONFIRM_SELECT,
    CONFIRM_SELECT_OK,
    TX_COMMIT,
    TX_COMMIT_OK,
    TX_ROLLBACK,
    TX_ROLLBACK_OK,
    TX_SELECT,
    TX_SELECT_OK,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel, Delivery, Pending, Publish


def _confirm_select(channel: Channel, nowait: bool) -> None:
    if channel.tx is not None:
        raise precondition("cannot switch from tx to confirm mode")
    channel.confirming = True
    if not nowait:
        channel.send(CONFIRM_SELECT_OK)


def _tx_select(channel: Channel) -> None:
    if channel.confirming:
        raise precondition("cannot switch from confirm to tx mode")
    if channel.tx is None:
        channel.tx = []
    channel.send(TX_SELECT_OK)


def _held(channel: Channel) -> list[Pending]:
    if channel.tx is None:
        raise precondition("channel is not transactional")
    held, channel.tx = channel.tx, []
    return held


def _commit(channel: Channel) -> None:
    held = _held(channel)
    refused = False
    for action, what in held:
        if action == "publish":
            message, mandatory, routed = cast("Publish", what)
            # The way was found when it was published, and leads to whatever has those names now.
            now = channel.vhost.queues
            targets = tuple(now[queue.name] for queue in routed if queue.name in now)
            refused = channel.publish(message, mandatory, targets) or refused
    for action, what in held:
        if action == "ack":
            channel.acked(cast("list[Delivery]", what))
        elif action != "publish":
            channel.returned(cast("list[Delivery]", what), action == "requeue")
    channel.waits_for_commit = False
    channel.broker.journal.commit()
    if refused:
        raise precondition("partial tx completion")
    channel.send(TX_COMMIT_OK)


def _rollback(channel: Channel) -> None:
    # Published messages are forgotten; acknowledged ones are unacknowledged again, under their old tags.
    for action, what in _held(channel):
        if action != "publish":
            channel.untake(cast("list[Delivery]", what))
    channel.send(TX_ROLLBACK_OK)


HANDLERS: dict[int, Callable[..., None]] = {
    CONFIRM_SELECT.id: _confirm_select,
    TX_SELECT.id: _tx_select,
    TX_COMMIT.id: _commit,
    TX_ROLLBACK.id: _rollback,
}
