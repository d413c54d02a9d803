"""What taps tell: messages, what was missed, brokers and exchanges that come and go.

`broker` is the name of its `Place`, `at` in seconds since 1970.
"""

from __future__ import annotations

from mpcli.wire.message import Message


class Arrived:
    """Messages that came together from one broker."""

    __slots__ = ("at", "broker", "messages")

    def __init__(self, broker: str, at: float, messages: list[Message]) -> None:
        self.broker = broker
        self.at = at
        self.messages = messages


class Dropped:
    """The bound of the tap dropped `count` messages; when not `exact`, that many at least."""

    __slots__ = ("at", "broker", "count", "exact")

    def __init__(self, broker: str, at: float, count: int, exact: bool) -> None:
        self.broker = broker
        self.at = at
        self.count = count
        self.exact = exact


class Lost:
    """The connection broke; what passes from now on is not seen."""

    __slots__ = ("at", "broker", "reason")

    def __init__(self, broker: str, at: float, reason: str) -> None:
        self.broker = broker
        self.at = at
        self.reason = reason


class Gap:
    """There is a tap again; what passed between `since` and `at`, in seconds since 1970, was not seen."""

    __slots__ = ("at", "broker", "since")

    def __init__(self, broker: str, at: float, since: float) -> None:
        self.broker = broker
        self.at = at
        self.since = since


class Exchange:
    """An exchange appeared (`there`) or is not there."""

    __slots__ = ("at", "broker", "name", "there")

    def __init__(self, broker: str, at: float, name: str, there: bool) -> None:
        self.broker = broker
        self.at = at
        self.name = name
        self.there = there


class Ready:
    """Every tap is open: what is published from now on is seen."""

    __slots__ = ("at", "missing")

    def __init__(self, at: float, missing: dict[str, set[str]]) -> None:
        self.at = at
        self.missing = missing


class Pulse:
    """Time has passed; only for those who asked to be told."""

    __slots__ = ()


Event = Arrived | Dropped | Lost | Gap | Exchange | Ready | Pulse
