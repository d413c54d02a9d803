"""`--wait`: what comes of the replayed tasks, by their workers' events and, for sync tasks, by their replies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

from mpcli.bus.naming import Mode, TaskName
from mpcli.errors import MpError, RemoteError
from mpcli.verbs.follow import Follower
from mpcli.verbs.replay.comparing import Comparison
from mpcli.verbs.replay.planning import Planned
from mpcli.verbs.replay.sending import Line
from mpcli.verbs.replay.summary import Summary
from mpcli.verbs.seen import Outcome
from mpcli.wire.celery_message import Pending, read_reply
from mpcli.wire.events import TaskEvent
from mpcli.wire.methods import BASIC_CONSUME

REPLY_TO = "amq.rabbitmq.reply-to"
# Seconds that of a worker's event and a reply the second may come behind the first.
_BEHIND = 1.0
_GLANCE = 0.05


class Ended:
    """How a replayed task ended; `outcome` is None when nothing was heard of it in time.

    `value` is what a sync task replied, None without a reply. With a comparison, `verdict` and what was `recorded`.
    """

    __slots__ = ("outcome", "planned", "recorded", "value", "verdict")

    def __init__(self, planned: Planned, outcome: Outcome | None, value: object = None) -> None:
        self.planned = planned
        self.outcome = outcome
        self.value = value
        self.verdict = ""
        self.recorded: Outcome | None = None


class _Half:
    """What was heard of a task that ended: the event of its worker and, for a sync one, the reply; one may come later
    or, where workers send no events, never. `until` is the time for which the other one is waited for."""

    __slots__ = ("_events", "_replies", "event", "reply", "until", "value")

    def __init__(self, replies: bool, events: bool) -> None:
        self.event: Outcome | None = None
        self.reply: Outcome | None = None
        self.value: object = None
        self.until = monotonic() + _BEHIND
        self._replies = replies
        self._events = events

    @property
    def is_whole(self) -> bool:
        return (self.event is not None or not self._events) and (self.reply is not None or not self._replies)


class Waiter:
    """Listens before anything is sent, and tells each task that has ended."""

    def __init__(
        self, lines: dict[str, Line], summary: Summary, comparison: Comparison | None, stack: ExitStack
    ) -> None:
        """Raises `BrokerError` when the workers' events or the replies cannot be listened to."""
        self._lines = lines
        self._summary = summary
        self._comparison = comparison
        # By id, those that wait: several, where a queue held a task twice.
        self._waiting: dict[str, list[Planned]] = {}
        self._told: deque[Outcome] = deque()
        self._halves: dict[str, _Half] = {}
        self._followers = {mode: stack.enter_context(Follower(line.url, mode)) for mode, line in lines.items()}
        if (line := lines.get(Mode.SYNC)) is not None:
            line.connection.request(BASIC_CONSUME, REPLY_TO, "", False, True, False, False, {})

    def expect(self, batch: list[Planned]) -> None:
        """These are about to be sent."""
        for planned in batch:
            task_id = planned.rewritten.id
            if task_id:
                self._waiting.setdefault(task_id, []).append(planned)
                self._follow(planned)

    def _follow(self, planned: Planned) -> None:
        self._followers[planned.seen.broker].follow(planned.rewritten.id, self._told.append)

    def forget(self, planned: Planned) -> None:
        """It was not sent after all."""
        alike = self._waiting.get(planned.rewritten.id, [])
        if planned in alike:
            alike.remove(planned)
            if not alike:
                del self._waiting[planned.rewritten.id]

    def ended(self) -> Iterator[Ended]:
        """Those that have ended since the last look."""
        for line in self._lines.values():
            incoming, line.publisher.deliveries = line.publisher.deliveries, []
            for one in incoming:
                self._take_reply(one.properties, one.body)
        while self._told:
            outcome = self._told.popleft()
            if outcome.is_final and outcome.id in self._waiting:
                self._half(outcome.id).event = outcome
        now = monotonic()
        for task_id, half in list(self._halves.items()):
            if half.is_whole or half.until <= now:
                del self._halves[task_id]
                yield self._end(self._first(task_id), half)

    def _first(self, task_id: str) -> Planned:
        """Who waits longest for it, and does no more."""
        first, *others = self._waiting.pop(task_id)
        if others:
            self._waiting[task_id] = others
            self._follow(others[0])  # a task that has ended is not followed any longer
        return first

    def _half(self, task_id: str) -> _Half:
        half = self._halves.get(task_id)
        if half is None:
            broker = self._waiting[task_id][0].seen.broker
            half = self._halves[task_id] = _Half(replies=broker == Mode.SYNC, events=self._followers[broker].hears)
        return half

    def rest(self, seconds: float) -> Iterator[Ended | None]:
        """All others, as they end; after so many seconds in which none did, those that are left, as silent ones."""
        deadline = monotonic() + seconds
        while self._waiting and monotonic() < deadline:
            for line in self._lines.values():
                line.publisher.settle(monotonic() + _GLANCE / len(self._lines))
            for ended in self.ended():
                deadline = monotonic() + seconds
                yield ended
            yield None
        for planned in [one for alike in self._waiting.values() for one in alike]:
            self._summary.silent += 1
            yield self._judged(Ended(planned, None))
        self._waiting.clear()

    def _take_reply(self, properties: dict[str, object], body: bytes) -> None:
        task_id = str(properties.get("correlation_id"))
        if task_id not in self._waiting:
            return
        planned = self._waiting[task_id][0]
        told = {"hostname": ""}
        value: object = None
        try:
            value = read_reply(TaskName.parse(planned.seen.task, ""), task_id, properties, body)
            what, told["result"] = "succeeded", repr(value)
        except Pending:
            return
        except RemoteError as error:
            what, told["exception"], told["traceback"] = "failed", f"{error.type_name}({error.text!r})", error.traceback
        except MpError as error:
            what, told["exception"] = "failed", error.message
        half = self._half(task_id)
        half.value = value
        half.reply = Outcome(planned.seen.broker, 0.0, TaskEvent(what, task_id, 0.0, dict(told)))

    def _end(self, planned: Planned, half: _Half) -> Ended:
        # The event has the times, and the words in which a recording holds the outcome.
        outcome = half.event or half.reply
        self._summary.outcomes += 1
        self._summary.failed += outcome is None or outcome.what != "succeeded"
        return self._judged(Ended(planned, outcome, half.value))

    def _judged(self, ended: Ended) -> Ended:
        if self._comparison is not None:
            done = ended.planned.rewritten
            ended.verdict = self._comparison.verdict(done.old_id, done.id, ended.outcome)
            ended.recorded = self._comparison.recorded(done.old_id)
            compared = self._summary.compared
            compared[ended.verdict] = compared.get(ended.verdict, 0) + 1
        return ended
