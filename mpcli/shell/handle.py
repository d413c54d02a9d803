"""What an async call gives back: the task that was sent, and what its workers tell of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic

from mpcli.bus.naming import TaskName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.follow import Followed, Follower
    from mpcli.verbs.seen import Outcome

Waiting = Callable[[TaskName, str], AbstractContextManager[None]]

# Celery's words for what a worker holds, in those of its events.
_HELD = {"active": "started", "reserved": "received", "ready": "received"}


class Handle:
    """An async task that was sent.

    `id` is the task's, `state` what was last heard of it: sent, received, started, retried, succeeded, failed, revoked
    or rejected. `wait` waits for the end. Its text is the id, so that it can be given to whatever wants one.
    """

    def __init__(
        self,
        name: TaskName,
        task_id: str,
        url: str,
        follower: Follower,
        timeout: float,
        due_in: float,
        waiting: Waiting,
    ) -> None:
        """`timeout` is how long `wait` waits unless told otherwise, `due_in` when the task may begin; in seconds.

        `waiting` is put around the wait.
        """
        self.id = task_id
        self.task = str(name)
        self._name = name
        self._url = url
        self._follower = follower
        self._followed: Followed = follower.follow(task_id)
        self._timeout = timeout
        self._waiting = waiting
        self._due = monotonic() + due_in

    @property
    def state(self) -> str:
        """The worker's last word; where none was heard the workers are asked. Raises `BrokerError`."""
        if self._followed.outcomes:
            return self._followed.outcomes[-1].what
        from mpcli.verbs.whereabouts import whereabouts

        return _HELD.get(whereabouts(self._url, self._name, [self.id])[self.id].state, "sent")

    @property
    def ended(self) -> Outcome | None:
        """How it ended, once it has: `what`, `worker`, `seconds`, `result` as the worker wrote it, `error`."""
        return self._followed.ended

    def wait(self, timeout: float | None = None) -> Handle:
        """Wait for the end, so many seconds; unless told otherwise as long as a call would, from when it may begin.

        Raises `RemoteError` when it failed, `NoReply` when it did not end in time, saying what is known.
        """
        try:
            with self._waiting(self._name, self.id):
                self._await(timeout)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{self.task} goes on; it is only not waited for; its id is {self.id}") from None
        return self

    def _await(self, timeout: float | None) -> None:
        from mpcli.errors import NoReply
        from mpcli.verbs.outcome import await_outcome

        due_in = max(self._due - monotonic(), 0.0)
        if timeout is None:
            timeout = self._timeout
        elif timeout > due_in or self._followed.wait(timeout) is not None:
            timeout -= due_in
        else:
            raise NoReply(f"{self.task} may not begin before {due_in - timeout:.0f} s from now", f"its id is {self.id}")
        await_outcome(self._follower, self._followed, self._url, self._name, timeout, due_in)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"{self.task} {self.id}: {self._told()}"

    def _told(self) -> str:
        ended = self._followed.ended
        if ended is None:
            return self._followed.outcomes[-1].what if self._followed.outcomes else "sent"
        took = f" in {ended.seconds * 1000:.1f} ms" if ended.seconds is not None else ""
        return f"{ended.what}{took}" + (f": {ended.error}" if ended.error else "")
