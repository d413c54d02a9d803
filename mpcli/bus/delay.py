"""When a sent task may begin and until when: Celery's `eta` and `expires`, and RabbitMQ's waiting in between.

A worker that gets a task early holds it, and its prefetch slot, until the time has come: four delayed messages stop a
worker of four slots. Celery's way out for quorum queues is a cascade of 28 queues, one for each bit of the seconds to
wait (kombu.transport.native_delayed_delivery); the sender chooses it by publishing to its first exchange.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from mpcli.bus.naming import TaskName, binding_key
from mpcli.errors import UnknownService, UsageError

if TYPE_CHECKING:
    from mpcli.bus.outlet import Outgoing

FIRST_EXCHANGE = "celery_delayed_27"
LAST_EXCHANGE = "celery_delayed_delivery"
# 28 bits of seconds, 8.5 years.
_MAX_SECONDS = 2**28 - 1


class Delay(NamedTuple):
    """Two moments, or none."""

    eta: datetime | None = None
    expires: datetime | None = None

    @classmethod
    def of(
        cls, countdown: float | None = None, eta: datetime | None = None, expires: float | datetime | None = None
    ) -> Delay:
        """From what a caller gives. Raises `UsageError` for what makes no sense."""
        if countdown is not None and eta is not None:
            raise UsageError("countdown and eta both say when to begin", "give one of them")
        begin = _moment(countdown if countdown is not None else eta, "countdown" if countdown is not None else "eta")
        end = _moment(expires, "expires")
        if begin and (begin - datetime.now(UTC)).total_seconds() > _MAX_SECONDS:
            raise UsageError("the task would begin more than eight years from now", "the broker cannot wait that long")
        if end and end <= (begin or datetime.now(UTC)):
            raise UsageError("the task would expire before it may begin", "a later expires, or an earlier start")
        return cls(begin, end)

    @property
    def waits(self) -> bool:
        """Whether there is a whole second or more to wait."""
        return self.eta is not None and self.seconds >= 1

    def headers(self) -> dict[str, object]:
        """Of Celery's task message."""
        return {
            "eta": self.eta.isoformat() if self.eta else None,
            "expires": self.expires.isoformat() if self.expires else None,
        }

    @property
    def seconds(self) -> int:
        """Whole seconds from now to the `eta`."""
        assert self.eta is not None
        return int((self.eta - datetime.now(UTC)).total_seconds())

    @property
    def due_in(self) -> int:
        """Whole seconds from now until the task may begin: 0 without an `eta`, and behind it."""
        return max(self.seconds, 0) if self.eta else 0

    def route(self, connection: Any, task: TaskName, outgoing: Outgoing) -> None:
        """Let the message wait on the broker, if the broker can. Raises `UnknownService` when it would end nowhere,
        which no return of the broker would tell after the wait."""
        from amqp.exceptions import ChannelError, NotFound
        from kombu.transport.native_delayed_delivery import calculate_routing_key

        from mpcli.bus.connecting import broker_error

        try:
            with connection.channel() as channel:
                channel.queue_declare(task.queue, passive=True)
        except NotFound:
            raise UnknownService(
                f"there is no queue {task.queue} on the broker", "it appears when the service's worker first starts"
            ) from None
        seconds = self.seconds
        if seconds < 1:
            return
        try:
            self._bind(connection, task)
        except NotFound:
            return  # no service with a quorum queue ever ran here: its worker holds the message by its eta
        except ChannelError as error:
            raise broker_error(error, connection.host, "to let a message wait") from error
        outgoing.exchange = FIRST_EXCHANGE
        outgoing.properties["routing_key"] = calculate_routing_key(seconds, task.routing_key)

    def _bind(self, connection: Any, task: TaskName) -> None:
        """As the service's worker binds a quorum queue; one of another type is not bound, and a message that waited
        would be dropped. Binding again what is bound changes nothing."""
        key = delayed_binding(task)
        with connection.channel() as channel:
            channel.exchange_declare(FIRST_EXCHANGE, "topic", passive=True)
            channel.exchange_bind(task.exchange, LAST_EXCHANGE, key)
            channel.queue_bind(task.queue, task.exchange, key)


def delayed_binding(task: TaskName) -> str:
    """What binds the queue to where a message comes out of the cascade: it still has the bits in front of its key."""
    return f"#.{binding_key(task.service, task.mode)}"


def _moment(value: float | datetime | None, what: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_SECONDS:
        raise UsageError(f"{what} is {value!r}: it must be a number of seconds, 0 or more")
    return datetime.now(UTC) + timedelta(seconds=value)
