"""What comes of tasks, by the events of their workers: any number of ids over one tap.

    with Follower(url) as follower:          # returns when the tap is open: send after that, and nothing is missed
        task_id = ...                        # sent by whatever means
        followed = follower.follow(task_id, then=told)
        outcome = followed.wait(10)          # mpcli.verbs.seen.Outcome, or None when there was no end in time
        followed.outcomes, followed.ended, followed.missed

Thread-safe; a thread of its own reads the events. `then` is called in it with each `Outcome` of the task (received,
started, retried, succeeded, failed, revoked, rejected): it must be quick. Events are what workers send when they were
started with -E, or have worker_send_task_events set; `mpcli.verbs.whereabouts` says what can be known without.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from mpcli.errors import BrokerUnreachable, MpError
from mpcli.verbs.seen import Outcome
from mpcli.wire import aside
from mpcli.wire.events import EVENT_EXCHANGE, EVENT_PATTERN, TaskEvent, task_events
from mpcli.wire.tap_events import Arrived, Dropped, Event, Exchange, Gap, Ready
from mpcli.wire.tap_queues import Source
from mpcli.wire.taps import Place, watch

# Events of tasks that nobody asked for yet: an id may be known only after its message was sent.
_REMEMBERED = 5000
# Seconds that a rejection may be the first half of a failure: of a failed task that is not acknowledged Celery tells
# `rejected`, and right after it `failed`, which says why. One that raised `Reject` itself has only the first.
_SECOND_HALF = 0.5

Told = Callable[[Outcome], None]


class Followed:
    """One task: its `outcomes` so far; `ended` is the final one, unless another one comes before `sure_at`, on the
    clock of `time.monotonic`. `missed`: events may have passed unseen."""

    __slots__ = ("_follower", "_then", "ended", "id", "missed", "outcomes", "sure_at")

    def __init__(self, task_id: str, follower: Follower, then: Told | None) -> None:
        self.id = task_id
        self.outcomes: list[Outcome] = []
        self.ended: Outcome | None = None
        self.missed = False
        self.sure_at = 0.0
        self._follower = follower
        self._then = then

    @property
    def certain(self) -> Outcome | None:
        """The final outcome, once no other one can come behind it."""
        return self.ended if self.sure_at <= monotonic() else None

    def wait(self, timeout: float) -> Outcome | None:
        """The final outcome, or None when there was none in so many seconds; Ctrl-C breaks the wait.

        Raises what ended the follower, should it: a broker that refuses it from now on.
        """
        deadline = monotonic() + timeout
        with self._follower.changed:
            while (left := self._left(deadline)) > 0:
                if self._follower.error is not None:
                    raise self._follower.error
                self._follower.changed.wait(left)
        return self.ended

    def _left(self, deadline: float) -> float:
        """Seconds for which there is still something to wait for."""
        return (deadline if self.ended is None else min(deadline, self.sure_at)) - monotonic()

    def take(self, outcome: Outcome) -> None:
        """Another outcome, from the follower's thread."""
        with self._follower.changed:
            self.outcomes.append(outcome)
            if outcome.is_final:
                self.ended = outcome
                self.sure_at = monotonic() + _SECOND_HALF if outcome.what == "rejected" else 0.0
            self._follower.changed.notify_all()
        if self._then is not None:
            self._then(outcome)


class Follower:
    """Follows tasks on the broker at `url`. Raises `BrokerError` when the broker cannot be tapped.

    `hears` is False while no worker of the broker ever sent events; `error` is why it ended, should it. `changed` is
    held for every change of what is followed.
    """

    def __init__(self, url: str, broker: str = "async") -> None:
        self.hears = True
        self.error: MpError | None = None
        self._place = Place(broker, url, [Source(EVENT_EXCHANGE, (EVENT_PATTERN,))])
        self.changed = threading.Condition(threading.RLock())
        self._followed: dict[str, Followed] = {}
        self._recent: deque[tuple[float, TaskEvent]] = deque(maxlen=_REMEMBERED)
        self._ready = threading.Event()
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="mp follower", daemon=True)
        aside.start(self._thread)
        try:
            self._ready.wait()  # opening a tap has a deadline of its own
        except BaseException:
            self.close()
            raise
        if self.error is not None:
            self.close()
            raise self.error

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def follow(self, task_id: str, then: Told | None = None) -> Followed:
        """What comes of this task, what was already heard of it included."""
        with self.changed:
            followed = Followed(task_id, self, then)
            self._followed[task_id] = followed
            for at, told in [one for one in self._recent if one[1].id == task_id]:
                self._take(at, told)
        return followed

    def forget(self, followed: Followed) -> None:
        """Its outcomes are not wanted any more."""
        with self.changed:
            self._followed.pop(followed.id, None)

    def close(self) -> None:
        """Hang up; the tap is gone with its connection."""
        if self._thread.is_alive():
            with suppress(OSError):
                os.write(self._stop_write, b"x")
            # One that is still at the door of a silent broker has made nothing there, and ends when it may not enter.
            self._thread.join(2.0 if self._ready.is_set() else 0.0)
        with self.changed:
            descriptors, self._stop_read, self._stop_write = (self._stop_read, self._stop_write), -1, -1
            if not self._thread.is_alive():  # else it still looks at the pipe, which then ends with the process
                for descriptor in descriptors:
                    with suppress(OSError):
                        os.close(descriptor)

    def _run(self) -> None:
        try:
            for event in watch([self._place], until=self._stop_read):
                self._hear(event)
        except MpError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
            self.error = BrokerUnreachable(f"the events were given up: {type(error).__name__}: {error}")
        finally:
            self._ready.set()
            with self.changed:
                self.changed.notify_all()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Arrived):
            for message in event.messages:
                for told in task_events(message):
                    self._take(event.at, told)
        elif isinstance(event, Ready):
            self.hears = not event.missing[self._place.broker]
            self._ready.set()
        elif isinstance(event, Exchange):
            self.hears = event.there
        elif isinstance(event, (Gap, Dropped)):
            with self.changed:
                for followed in self._followed.values():
                    followed.missed = True

    def _take(self, at: float, told: TaskEvent) -> None:
        with self.changed:
            followed = self._followed.get(told.id)
            if followed is None:
                self._recent.append((at, told))
                return
            if told.is_final and told.what != "rejected":
                del self._followed[told.id]
        followed.take(Outcome(self._place.broker, at, told))
