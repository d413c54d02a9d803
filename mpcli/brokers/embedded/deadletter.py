"""Dead letters: where a message goes that was rejected, expired, dropped or delivered too often.

The headers are RabbitMQ's: `x-death` with one table for each queue and reason, the newest first, and
`x-first-death-*` (https://www.rabbitmq.com/docs/dlx).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.message import Message, address_of
from mpcli.brokers.embedded.refusal import inner
from mpcli.wire.codec import Table, Typed, Value

if TYPE_CHECKING:
    from mpcli.brokers.embedded.queue import Queue


def dead_letter(queue: Queue, message: Message, reason: str) -> None:
    """Publish the message to the queue's dead-letter exchange, if it has one and it exists."""
    name = queue.settings.dead_letter_exchange
    exchange = None if name is None else queue.vhost.exchanges.get(name)
    if name is None or exchange is None:
        return
    letter = _make_letter(queue, message, reason, name)
    targets = queue.vhost.route(exchange, letter)
    if reason != "rejected":
        deaths = _deaths(letter.headers())
        targets = tuple(target for target in targets if not _is_cycle(target.name, deaths))
    queue.vhost.deliver_letter(letter, targets)


def _make_letter(queue: Queue, message: Message, reason: str, exchange: str) -> Message:
    properties = message.properties()
    headers = message.headers()
    event = _event(queue.name, message, reason, headers, properties.pop("expiration", None))
    headers = _with_event(headers, event)
    key, extra_keys = message.key, message.extra_keys
    if queue.settings.dead_letter_key is not None:
        key, extra_keys = queue.settings.dead_letter_key, ()
        headers.pop("CC", None)
    properties["headers"] = headers
    letter = message.with_properties(properties)
    letter.exchange, letter.key, letter.address = exchange, key, address_of(exchange, key)
    letter.ttl, letter.extra_keys = None, extra_keys
    return letter


def _event(queue: str, message: Message, reason: str, headers: Table, expiration: object) -> Table:
    keys = [message.key, *_listed_keys(headers)]
    event: Table = {
        "count": Typed("l", 1),
        "reason": reason,
        "queue": queue,
        "time": Typed("T", int(time.time())),
        "exchange": message.exchange,
        "routing-keys": list(keys),
    }
    if isinstance(expiration, str):
        event["original-expiration"] = expiration
    return event


def _listed_keys(headers: Table) -> list[str]:
    keys: list[str] = []
    for name in ("CC", "BCC"):
        values = headers.get(name)
        if isinstance(values, list):
            keys += [value for value in values if isinstance(value, str)]
    return keys


def _with_event(headers: Table, event: Table) -> Table:
    deaths = headers.get("x-death")
    if not isinstance(deaths, list):
        added: Table = {"x-death": [event]}
        if deaths is None:
            for name in ("exchange", "queue", "reason"):
                added[f"x-first-death-{name}"] = event[name]
        return dict(sorted({**headers, **added}.items()))
    tables = _grouped([death for death in deaths if isinstance(death, dict)])
    same = [death for death in tables if _is_same(death, event)]
    others: list[Value] = [death for death in tables if not _is_same(death, event)]
    if same:
        count = inner(same[0].get("count"))
        newest = {**same[0], "count": Typed("l", count + 1 if isinstance(count, int) else 1)}
    else:
        newest = event
    return dict(sorted({**headers, "x-death": [dict(sorted(newest.items())), *others]}.items()))


def _grouped(deaths: list[Table]) -> list[Table]:
    """One table for each queue and reason: RabbitMQ's way with headers of its early versions. It turns their order."""
    if len(deaths) < 2:
        return deaths
    groups: dict[str, list[Table]] = {}
    for death in deaths:
        groups.setdefault(repr((inner(death.get("queue")), inner(death.get("reason")))), []).append(death)
    return [{"count": Typed("l", len(group)), **group[0]} for group in reversed(groups.values())]


def _is_same(death: Table, event: Table) -> bool:
    return inner(death.get("queue")) == event["queue"] and inner(death.get("reason")) == event["reason"]


def _deaths(headers: Table) -> list[Table]:
    deaths = headers.get("x-death")
    return [death for death in deaths if isinstance(death, dict)] if isinstance(deaths, list) else []


def _is_cycle(queue: str, deaths: list[Table]) -> bool:
    # A message that came round to this queue without ever being rejected would go round for ever.
    for index, death in enumerate(deaths):
        if inner(death.get("queue")) == queue:
            return all(inner(passed.get("reason")) != "rejected" for passed in deaths[: index + 1])
    return False
