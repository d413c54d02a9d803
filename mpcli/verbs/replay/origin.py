"""Where a message goes: what was recorded goes where it went, a dead letter to where it was before it died.

`x-death` has one entry for each queue and reason, newest first (https://www.rabbitmq.com/docs/dlx). The newest death in
a queue that is not itself one of dead letters is the one that matters: an older one may be a delay (Celery's
`celery_delayed_*` queues let messages expire on purpose), a newer one the move from one dead-letter queue to another.
"""

from __future__ import annotations

import re

from mpcli.recording.format import DEAD
from mpcli.verbs.queue_place import is_dead
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import Value, plain

# kombu's delayed delivery puts 28 bits of seconds in front of the routing key.
_DELAY = re.compile(r"(?:[01]\.){28}")
_DELAY_EXCHANGE = "celery_delayed_"
# Made by the broker when a message died or was delivered in vain; they would be taken for true by the next consumer.
DEATH_HEADERS = ("x-death", "x-delivery-count", "x-last-death-exchange", "x-last-death-queue", "x-last-death-reason",
                 "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason", "x-opt-deaths")  # fmt: skip


class Unknown(Exception):
    """Why nobody can say where the message belongs."""


class Place:
    """An exchange and a routing key; `why` the message had died and when (`died`, seconds since 1970, None where that
    is not known), empty when it had not."""

    __slots__ = ("died", "exchange", "expiration", "routing_key", "why")

    def __init__(self, exchange: str, routing_key: str, why: str = "", expiration: str = "") -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.why = why
        # The time to live in ms that it had before the broker took it away at its death.
        self.expiration = expiration
        self.died: float | None = None


def origin(seen: Seen, deaths: Value, queue: str = "") -> Place:
    """Where the message belongs. `deaths` is its `x-death`, `queue` the one it was taken from, if any.

    Raises `Unknown` for a dead letter that does not tell where it was.
    """
    message = seen.message
    found = _death(plain(deaths), queue) if seen.kind == DEAD or queue else None
    if found is not None:
        keys = found.get("routing-keys")
        key = keys[0] if isinstance(keys, list) and keys and isinstance(keys[0], str) else message.routing_key
        expiration = found.get("original-expiration")
        place = Place(str(found.get("exchange") or ""), key, str(found.get("reason") or "died"), str(expiration or ""))
        if isinstance(died := found.get("time"), int):
            place.died = float(died)
        return _undelayed(place)
    if seen.kind == DEAD or is_dead(queue):
        raise Unknown("a dead letter without x-death: nobody can say where it came from")
    return _undelayed(Place(message.exchange, message.routing_key))


def _death(deaths: Value, queue: str) -> dict[str, object] | None:
    if not isinstance(deaths, list):
        return None
    tables = [death for death in deaths if isinstance(death, dict) and isinstance(death.get("exchange"), str)]
    alive = [death for death in tables if not is_dead(str(death.get("queue"))) and death.get("queue") != queue]
    return next(iter(alive or tables[-1:]), None)


def _undelayed(place: Place) -> Place:
    """Without the delay that is over: the key as the service knows it."""
    found = _DELAY.match(place.routing_key)
    if found:
        place.routing_key = place.routing_key[found.end() :]
        if place.exchange.startswith(_DELAY_EXCHANGE):
            place.exchange = place.routing_key.partition(".")[0]
    return place
