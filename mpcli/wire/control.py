"""Asking workers: Celery's remote control, with a known number of answers instead of a fixed wait.

A request goes to the fan-out exchange `celery.pidbox` and reaches every worker on the broker; answers come to an
exclusive queue of this connection, which is gone with it. How many answers to wait for is known beforehand: the
consumers of the queue in question, or the workers that were named. Source: kombu.pidbox, celery.worker.control.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from time import monotonic

from mpcli.errors import BrokerRefused
from mpcli.wire.celery_message import JSON, TRANSIENT, new_id
from mpcli.wire.connection import Connection
from mpcli.wire.frames import encode_content
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import (
    BASIC_CONSUME,
    BASIC_DELIVER,
    BASIC_PUBLISH,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    QUEUE_DECLARE,
)
from mpcli.wire.properties import encode_properties
from mpcli.wire.refusal import NOT_FOUND

PIDBOX = "celery.pidbox"
# Channels of their own, so that a refusal does no harm to the caller's. Asking and hearing the answers share one: only
# within a channel it is certain that the queue is there before the question goes out.
_LOOK, _ASK = 11, 12
_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})
_PRIVATE: tuple[object, ...] = (False, False, True, True, False, {})
_BROKER_WAIT = 5.0
_LONGEST_NAME = 200

# What a worker that told something has to do with a queue: its tasks for it, or None when it is not the queue's.
_Own = Callable[[str, list[object]], "list[str] | None"]


class Survey:
    """Who serves a queue: whether it `exists`, its `waiting` messages and `consumers` as the broker counts them, and
    by worker the names of the tasks that the queue is for, none where only the worker was asked for."""

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


class Running:
    """A task that a worker runs, `since` when by the worker's clock: seconds since 1970, 0 when it does not say."""

    __slots__ = ("id", "name", "since")

    def __init__(self, told: dict[str, object]) -> None:
        self.id = str(told.get("id"))
        self.name = str(told.get("name"))[:_LONGEST_NAME]
        since = told.get("time_start")
        self.since = float(since) if isinstance(since, (int, float)) else 0.0


class Held:
    """A task that a worker has: its `id`, and as what, in Celery's word: `active` (it runs, `since` when by the
    worker's clock, 0 when it does not say), `reserved` (it was only fetched), `ready` (it is held for its eta)."""

    __slots__ = ("id", "since", "state", "worker")

    def __init__(self, worker: str, task_id: str, state: object, told: dict[str, object]) -> None:
        self.worker = worker
        self.id = task_id
        self.state = str(state)
        self.since = Running(told).since


class Control:
    """Remote control over an open connection; one for each connection. Leaves channels 11 and 12 and an exclusive queue
    to it.

    `passed` is what came on other channels while answers were waited for.
    """

    def __init__(self, connection: Connection) -> None:
        self.passed: list[Incoming] = []
        self.connection = connection
        self._queue = ""
        self._is_looking = False

    def survey(self, queue: str, wait: float = 0.5) -> Survey:
        """Who serves `queue`, in one round trip to the broker and one to the workers.

        `wait`, in seconds, is spent only when a worker does not answer. A worker counts as one of the queue's when it
        has a task whose name begins with the queue's. Raises `BrokerError`.
        """
        return self._survey(queue, wait, "registered", _own_tasks)

    def listeners(self, queue: str, wait: float = 0.5) -> Survey:
        """As `survey`, without the tasks, and exact: also where workers of other queues know the same tasks."""
        return self._survey(queue, wait, "active_queues", _own_queue)

    def _survey(self, queue: str, wait: float, method: str, own: _Own) -> Survey:
        found = Survey()
        ticket = new_id()
        look = b"" if self._is_looking else CHANNEL_OPEN.frame(_LOOK)
        look += QUEUE_DECLARE.frame(_LOOK, queue, *_PASSIVE)
        self._is_looking = True
        self.connection.send(look + self._request(ticket, method, {}, None))
        try:
            answer = self.connection.answer(QUEUE_DECLARE, channel=_LOOK, deadline=monotonic() + _BROKER_WAIT)
        except BrokerRefused as error:
            self._is_looking = False
            if error.code != NOT_FOUND:
                raise
            found.exists = False
            return found
        found.waiting, found.consumers = (int(str(value)) for value in answer.values[1:])
        if found.consumers:
            for worker, told in self._replies(ticket, monotonic() + wait):
                tasks = own(queue, told) if isinstance(told, list) else None
                if tasks is not None:
                    found.workers[worker] = tasks
                if found.complete:
                    break
        return found

    def describe(self, workers: list[str], tasks: list[str] | None = None, wait: float = 1.0) -> dict[str, object]:
        """What these workers answer to `mp_describe`, by worker: their tasks, or the ones named, with signatures.

        A worker that has no such command, or does not answer within `wait` seconds, is absent. Raises `BrokerError`.
        """
        replies = self._each("mp_describe", {"tasks": tasks}, workers, wait)
        return {
            worker: told["tasks"]
            for worker, told in replies.items()
            if isinstance(told, dict) and isinstance(told.get("tasks"), dict)
        }

    def active(self, workers: list[str], wait: float = 1.0) -> dict[str, list[Running]]:
        """What these workers run now, by worker; one that does not answer within `wait` seconds is absent."""
        replies = self._each("active", {"safe": True}, workers, wait)
        return {
            worker: [Running(task) for task in told if isinstance(task, dict)]
            for worker, told in replies.items()
            if isinstance(told, list)
        }

    def holders(self, task_ids: list[str], workers: list[str], wait: float = 1.0) -> dict[str, list[Held]]:
        """Which of the tasks these workers have, by worker; one that does not answer within `wait` seconds is absent.

        Source: Celery's `query_task`, `celery.worker.control`.
        """
        return {
            worker: [Held(worker, task_id, *one) for task_id, one in told.items() if _is_state(one)]
            for worker, told in self._each("query_task", {"ids": task_ids}, workers, wait).items()
            if isinstance(told, dict)
        }

    def revoke(self, task_ids: list[str], workers: list[str]) -> None:
        """Let these workers drop the tasks when they meet them; one that has begun runs on.

        Not for all workers at once: a worker of Celery 5.7 with results on rpc:// looks for a result of the task before
        it revokes it, and so makes a result queue of its own, which stays for a day (celery.worker.control._revoke).
        """
        if task_ids and workers:
            self.ask("revoke", {"task_id": task_ids}, workers)

    def settings(self, workers: list[str], names: tuple[str, ...], wait: float = 1.0) -> dict[str, dict[str, object]]:
        """Those of these workers' settings that they tell, by worker. Celery itself leaves secrets out."""
        replies = self._each("conf", {"with_defaults": True}, workers, wait)
        return {
            worker: {name: told[name] for name in names if name in told}
            for worker, told in replies.items()
            if isinstance(told, dict)
        }

    def _each(self, method: str, arguments: dict[str, object], workers: list[str], wait: float) -> dict[str, object]:
        """The answers of the workers that are named, for as long as one is missing."""
        found: dict[str, object] = {}
        for worker, told in self._replies(self.ask(method, arguments, workers), monotonic() + wait):
            found[worker] = told
            if found.keys() >= set(workers):
                break
        return found

    def ask(self, method: str, arguments: dict[str, object], workers: list[str] | None = None) -> str:
        """Send a request to all workers, or to those that are named; the ticket is for `replies`."""
        ticket = new_id()
        self.connection.send(self._request(ticket, method, arguments, workers))
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
        return frames + publish + encode_content(_ASK, properties, body, self.connection.frame_max)

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
                incoming = self.connection.receive(deadline)
            except TimeoutError:
                return
            if incoming.channel != _ASK:
                self.passed.append(incoming)
                continue
            if incoming.method is CHANNEL_CLOSE:
                self._queue = ""
                if incoming.values[0] == NOT_FOUND:
                    return  # no exchange: no worker with remote control was ever here
                raise self.connection.refusal(incoming)
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


def _is_state(told: object) -> bool:
    return isinstance(told, list) and len(told) == 2 and isinstance(told[1], dict)


def _own_tasks(queue: str, told: list[object]) -> list[str] | None:
    """The tasks that the queue is for; None when the worker has none of them."""
    # Celery adds what it finds worth telling behind the name: `mplogin.sync.register [rate_limit=10/m]`.
    names = (str(one).partition(" ")[0] for one in told)
    return [name for name in names if name.startswith(f"{queue}.")] or None


def _own_queue(queue: str, told: list[object]) -> list[str] | None:
    """No tasks; None when the worker does not consume from the queue."""
    return [] if any(isinstance(one, dict) and one.get("name") == queue for one in told) else None
