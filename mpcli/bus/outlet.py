"""A message on its way to the broker, and the channel that it leaves by."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from typing import Any

from amqp import Message, spec

from mpcli.errors import BrokerRefused


class Outgoing:
    """A message on its way. `future` holds the reply (content type, body), or None for a confirmed message that
    expects no reply. `deadline` is on the monotonic clock; when it has passed the message is not sent any more."""

    __slots__ = ("body", "confirmed", "deadline", "exchange", "expires", "future", "properties", "published", "reply")

    def __init__(
        self, exchange: str, body: str, properties: dict[str, Any], deadline: float, reply: bool, expires: bool
    ) -> None:
        self.exchange = exchange
        self.body = body
        self.properties = properties
        self.deadline = deadline
        self.reply = reply
        self.expires = expires
        self.published = self.confirmed = False
        self.future: Future[Any] = Future()

    @property
    def name(self) -> str:
        """The task's name."""
        return str(self.properties["application_headers"]["task"])

    @property
    def task_id(self) -> str:
        """The task's id, which is also the correlation id."""
        return str(self.properties["correlation_id"])

    def fail(self, error: BaseException) -> None:
        """Unless it is over already."""
        if not self.future.done():
            with contextlib.suppress(Exception):  # cancelled in between, by the one who waited
                self.future.set_exception(error)

    def succeed(self, value: object) -> None:
        """Unless it is over already."""
        if not self.future.done():
            with contextlib.suppress(Exception):
                self.future.set_result(value)


class Outlet:
    """A channel in confirm mode for one exchange, and what was published on it and is not confirmed yet."""

    def __init__(self, connection: Any, exchange: str) -> None:
        self.exchange = exchange
        self.unconfirmed: dict[int, Outgoing] = {}
        self._tag = 0
        self.channel = connection.channel()
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._on_ack)
        self.channel.events["basic_nack"].add(self._on_nack)

    def publish(self, outgoing: Outgoing) -> None:
        """Write the message; its confirm, or its return, comes by itself."""
        self._tag += 1
        self.unconfirmed[self._tag] = outgoing
        # Not basic_publish: that reads from the socket first, which is this thread's own business.
        self.channel.send_method(
            spec.Basic.Publish,
            "Bssbb",
            (0, outgoing.exchange, outgoing.properties.pop("routing_key"), True, False),
            Message(outgoing.body, **outgoing.properties),
        )
        outgoing.published = True

    def _take(self, tag: int, multiple: bool) -> list[Outgoing]:
        tags = [known for known in self.unconfirmed if known <= tag] if multiple else [tag]
        return [outgoing for known in tags if (outgoing := self.unconfirmed.pop(known, None)) is not None]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for outgoing in self._take(tag, multiple):
            outgoing.confirmed = True
            if not outgoing.reply:
                outgoing.succeed(None)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for outgoing in self._take(tag, multiple):
            outgoing.fail(
                BrokerRefused(f"the broker did not take {outgoing.name}", "is its queue full, or its disk? see its log")
            )
