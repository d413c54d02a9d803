"""Asking workers: Celery's remote control, with a known number of answers instead of a fixed wait.

A request goes to the fan-out exchange `celery.pidbox` and reaches every worker on the broker; answers come to an
exclusive queue of this connection, which is gone with it. How many answers to wait for is known beforehand: the
consumers of the queue in question, or the workers that were named. Source: kombu.pidbox, celery.worker.control.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import monotonic

from mpcli.errors import BrokerRefused
from mpcli.wire.celery_message import JSON, TRANSIENT, new_id
from mpcli.wire.codec import encode_content, encode_properties
from mpcli.wire.connection import Connection, Incoming
from mpcli.wire.methods import (
    BASIC_CONSUME,
    BASIC_DELIVER,
    BASIC_PUBLISH,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    QUEUE_DECLARE,
)
from mpcli.wire.refusal import NOT_FOUND

PIDBOX = "celery.pidbox"
# Channels of their own, so that a refusal does no harm to the caller's. Asking and hearing the answers share one: only
# within a channel it is certain that the queue is there before the question goes out.
_LOOK, _ASK = 11, 12
_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})
_PRIVATE: tuple[object, ...] = (False, False, True, True, False, {})
_BROKER_WAIT = 5.0


class Survey:
    """Who serves a queue: whether it `exists`, its `waiting` messages and `consumers` as the broker counts them, and
    by worker the names of the tasks that the queue is for."""

    __slots__ = ("consumers", "exists", "waiting", "workers")

    def __init__(self) -> None:
        self.exists = True
        self.consumers = 0
        self.waiting = 0
        self.workers: dict[str, list[str]] = {}

    @property
    def complete(self) -> bool:
        """Whether every worker of the queue told its tasks; only then a missing name proves something."""
        return 0 < self.consumers <= len(self.workers)

    @property
    def tasks(self) -> list[str]:
        """Every task that one of the workers serves."""
        return sorted({name for names in self.workers.values() for name in names})


class Control:
    """Remote control over an open connection. Leaves channels 11 and 12 and an exclusive queue to the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue = ""

    def survey(self, queue: str, wait: float = 0.5) -> Survey:
        """Who serves `queue`, in one round trip to the broker and one to the workers.

        `wait`, in seconds, is spent only when a worker does not answer. A worker counts as one of the queue's when it
        has a task whose name begins with the queue's. Raises `BrokerError`.
        """
        found = Survey()
        ticket = new_id()
        look = CHANNEL_OPEN.frame(_LOOK) + QUEUE_DECLARE.frame(_LOOK, queue, *_PASSIVE)
        self._connection.send(look + self._request(ticket, "registered", {}, None))
        try:
            answer = self._connection.answer(QUEUE_DECLARE, channel=_LOOK, deadline=monotonic() + _BROKER_WAIT)
        except BrokerRefused as error:
            if error.code != NOT_FOUND:
                raise
            found.exists = False
            return found
        found.waiting, found.consumers = (int(str(value)) for value in answer.values[1:])
        if found.consumers:
            for worker, names in self._replies(ticket, monotonic() + wait):
                _note(found, worker, names, f"{queue}.")
                if found.complete:
                    break
        return found

    def describe(self, workers: list[str], tasks: list[str] | None = None, wait: float = 1.0) -> dict[str, object]:
        """What these workers answer to `mp_describe`, by worker: their tasks, or the ones named, with signatures.

        A worker that has no such command, or does not answer within `wait` seconds, is absent. Raises `BrokerError`.
        """
        ticket = new_id()
        self._connection.send(self._request(ticket, "mp_describe", {"tasks": tasks}, workers))
        answered: set[str] = set()
        found: dict[str, object] = {}
        for worker, reply in self._replies(ticket, monotonic() + wait):
            answered.add(worker)
            if isinstance(reply, dict) and isinstance(reply.get("tasks"), dict):
                found[worker] = reply["tasks"]
            if answered.issuperset(workers):
                break
        return found

    def ask(self, method: str, arguments: dict[str, object], workers: list[str] | None = None) -> str:
        """Send a request to all workers, or to those that are named; the ticket is for `replies`."""
        ticket = new_id()
        self._connection.send(self._request(ticket, method, arguments, workers))
        return ticket

    def replies(self, ticket: str, deadline: float) -> Iterator[tuple[str, object]]:
        """Worker and answer, as they come, until the deadline; who knows how many to await leaves sooner."""
        return self._replies(ticket, deadline)

    def _request(self, ticket: str, method: str, arguments: dict[str, object], workers: list[str] | None) -> bytes:
        """The frames of a request; the first one also opens the channel and the queue for the answers."""
        frames = b"" if self._queue else self._listen()
        request = {
            "method": method,
            "arguments": arguments,
            "destination": workers,
            "pattern": None,
            "matcher": None,
            "ticket": ticket,
            # The default exchange: nothing to declare, nothing to leave behind.
            "reply_to": {"exchange": "", "routing_key": self._queue},
        }
        properties = encode_properties(
            {
                "content_type": JSON,
                "content_encoding": "utf-8",
                "headers": {"clock": 1, "expires": 0},
                "delivery_mode": TRANSIENT,
            }
        )
        publish = BASIC_PUBLISH.frame(_ASK, PIDBOX, "", False, False)
        body = json.dumps(request).encode()
        return frames + publish + encode_content(_ASK, properties, body, self._connection.frame_max)

    def _listen(self) -> bytes:
        self._queue = f"mp.answers.{new_id()}"
        return (
            CHANNEL_OPEN.frame(_ASK)
            + QUEUE_DECLARE.frame(_ASK, self._queue, *_PRIVATE)
            + BASIC_CONSUME.frame(_ASK, self._queue, "", False, True, True, False, {})
        )

    def _replies(self, ticket: str, deadline: float) -> Iterator[tuple[str, object]]:
        """Worker and answer, as they come, until the deadline or until it is clear that none will come."""
        while True:
            try:
                incoming = self._connection.receive(deadline)
            except TimeoutError:
                return
            if incoming.channel != _ASK:
                continue
            if incoming.method is CHANNEL_CLOSE:
                self._queue = ""
                if incoming.values[0] == NOT_FOUND:
                    return  # no exchange: no worker with remote control was ever here
                raise self._connection.refusal(incoming)
            if incoming.method is BASIC_DELIVER:
                yield from _answers(incoming, ticket)


def _answers(incoming: Incoming, ticket: str) -> list[tuple[str, object]]:
    """What the workers said in one message; nothing when it answers another question or cannot be read."""
    properties = incoming.properties
    headers = properties.get("headers")
    if not isinstance(headers, dict) or headers.get("ticket") != ticket or properties.get("content_type") != JSON:
        return []
    try:
        reply = json.loads(incoming.body)
    except (ValueError, RecursionError):
        return []
    return list(reply.items()) if isinstance(reply, dict) else []


def _note(found: Survey, worker: str, names: object, beginning: str) -> None:
    if not isinstance(names, list):
        return
    # Celery adds what it finds worth telling behind the name: `mplogin.sync.register [rate_limit=10/m]`.
    own = [name for name in (str(one).partition(" ")[0] for one in names) if name.startswith(beginning)]
    if own:
        found.workers[worker] = own
