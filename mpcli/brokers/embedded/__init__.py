"""The development broker: AMQP 0-9-1 in pure Python, on the project's own wire codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpcli.brokers.embedded.devbroker import DevBroker

__all__ = ["DevBroker"]


def __getattr__(name: str) -> object:
    # The provider of `mp up` is imported on the way to the processes; the broker itself runs in those.
    if name == "DevBroker":
        from mpcli.brokers.embedded.devbroker import DevBroker

        return DevBroker
    raise AttributeError(name)
