"""On which broker a queue is, and what it probably is, by the platform's convention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpcli.bus.naming import Mode, dead_letter_exchange, dead_letter_queue, queue_name
from mpcli.errors import BrokerUnreachable, NotFound, UsageError
from mpcli.platform.contexts import Context, Endpoint
from mpcli.wire.codec import Table
from mpcli.wire.holding import Holding, hold
from mpcli.wire.queue_traits import Traits


class QueuePlace:
    """A queue and its broker. `guess` are arguments that it has if it is what its name says."""

    __slots__ = ("broker", "endpoint", "guess", "queue")

    def __init__(self, queue: str, broker: Mode, endpoint: Endpoint) -> None:
        self.queue = queue
        self.broker = broker
        self.endpoint = endpoint
        service, _, mode = queue.rpartition(".")
        self.guess: Table = {"x-dead-letter-exchange": dead_letter_exchange(service)} if mode == Mode.ASYNC else {}

    @property
    def dead(self) -> bool:
        """Whether it is a queue of dead letters."""
        return is_dead(self.queue)


@contextmanager
def held(around: Context, place: QueuePlace, name: str) -> Iterator[Holding]:
    """Hold the messages of the queue: counted, none taken yet. Raises as `hold` does, with the better hints."""
    with told(place.endpoint):
        try:
            holding = hold(place.endpoint.url, place.queue, name=name)
        except NotFound as error:
            error.hint = suggestion(around, place.queue) or error.hint
            raise
    with holding:
        yield holding


def traits_of(around: Context, place: QueuePlace, holding: Holding) -> Traits:
    """What the queue is; with what policies set, where the context names the management API, which alone tells."""
    traits = holding.traits(place.guess)
    address = around.management(place.broker)
    if address not in ("", "off"):
        from mpcli.wire.management import Management, NoManagement  # http.client costs as much as all the rest

        try:
            facts = Management(holding.url, address).queue(place.queue)
        except NoManagement:
            return traits
        traits.add_policy(facts.policy if facts else {})
    return traits


def is_dead(queue: str) -> bool:
    """Whether the name is one of a dead-letter queue."""
    return queue.endswith(".dead")


def locate(around: Context, queue: str, broker: str = "") -> QueuePlace:
    """The broker of `queue`: `broker` (`sync` or `async`), else the one that its name says, else the one that has it.

    Raises `NotFound` when none has it, `UsageError` when both have, `BrokerError` when one cannot be asked.
    """
    if broker not in ("", *Mode):
        raise UsageError(f"{broker!r} is not a broker", "sync or async")
    mode = Mode(broker) if broker else _by_name(queue)
    if mode is not None:
        return QueuePlace(queue, mode, around.endpoint(mode))
    found = [place for mode in Mode if (place := _look(around, queue, mode)) is not None]
    if len(found) > 1:
        raise UsageError(f"there is a queue {queue} on both brokers", "name one: --broker sync or --broker async")
    if not found:
        raise NotFound(f"no queue {queue} on either broker", suggestion(around, queue) or "`mp queues` lists them")
    return found[0]


def _by_name(queue: str) -> Mode | None:
    service, _, word = queue.rpartition(".")
    if not service or "." in service:
        return None
    return {"sync": Mode.SYNC, "async": Mode.ASYNC, "dead": Mode.ASYNC}.get(word)


def _look(around: Context, queue: str, mode: Mode) -> QueuePlace | None:
    endpoint = around.endpoint(mode)
    try:
        with told(endpoint), hold(endpoint.url, queue):
            return QueuePlace(queue, mode, endpoint)
    except NotFound:
        return None


@contextmanager
def told(endpoint: Endpoint) -> Iterator[None]:
    """Adds to an unreachable broker's error what the context knows about it."""
    try:
        yield
    except BrokerUnreachable as error:
        error.advise(endpoint.hint)
        raise


def suggestion(around: Context, queue: str) -> str:
    """`did you mean mplogin.sync?`, or nothing."""
    from mpcli.catalog.nearest import nearest

    meant = nearest(queue, [name for service in services(around) for name in convention(service)])
    return f"did you mean {meant}?" if meant else ""


def services(around: Context) -> list[str]:
    """The services that are known here: of this platform, and those whose tasks the catalog remembers."""
    from mpcli.catalog.live_cache import recall

    names: set[str] = set()
    if around.root:
        from pathlib import Path

        from mpcli.platform.layout import load_platform

        names = {service.name for service in load_platform(Path(around.root)).services()}
    cached = recall(around.root, around.name)
    names |= {words[0] for task in (cached.tasks if cached else ()) if len(words := task.split(".")) == 3}
    return sorted(names)


def convention(service: str) -> list[str]:
    """The queues of a service."""
    return [queue_name(service, Mode.SYNC), queue_name(service, Mode.ASYNC), dead_letter_queue(service)]
