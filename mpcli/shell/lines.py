"""What stays from one call to the next: an open connection for each broker, remade after a failure."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TypeVar, cast

from mpcli.bus.naming import Mode, TaskName
from mpcli.platform.contexts import Context, Endpoint
from mpcli.shell.handle import Handle, Waiting
from mpcli.shell.interrupts import Interrupts
from mpcli.wire.aside import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.errors import MpError
    from mpcli.verbs.checking import Checker
    from mpcli.verbs.follow import Follower
    from mpcli.wire.connection import Connection
    from mpcli.wire.ongoing import Ongoing
    from mpcli.wire.open_caller import OpenCaller

# How long it holds, in seconds, that a worker has a task: a loop of sends does not ask before each.
_SURVEYED = 5.0
# How long a broker's address and a task's signature hold: looking them up costs a third of a call.
_FRESH = 1.0

T = TypeVar("T")


class Lines:
    """What `mpcli.verbs.call` calls over. `waiting` is put around each wait for the end of a task."""

    def __init__(self, interrupts: Interrupts, waiting: Waiting) -> None:
        self._interrupts = interrupts
        self._waiting = waiting
        self._lock = Lock()  # the user's code may call from several threads
        self._known: dict[tuple[object, ...], tuple[object, float]] = {}
        self._callers: dict[str, OpenCaller] = {}
        self._followers: dict[str, Follower] = {}
        self._sent: dict[str, Follower] = {}
        self._surveyed: dict[tuple[str, str], float] = {}

    def endpoint(self, around: Context, mode: Mode) -> Endpoint:
        """Where the broker was a moment ago; looked up again then, and after each failure."""
        return self._fresh(("endpoint", around, mode), lambda: around.endpoint(mode))

    def checker(self, around: Context, name: TaskName, made: Callable[[], Checker]) -> Checker:
        """What was known of the task a moment ago."""
        return self._fresh(("checker", around, name), made)

    def _fresh(self, key: tuple[object, ...], look_up: Callable[[], T]) -> T:
        found, at = self._known.get(key, (None, 0.0))
        if found is None or monotonic() - at > _FRESH:
            found = look_up()
            self._known[key] = found, monotonic()
        return cast("T", found)

    def forget(self) -> None:
        """Something failed: what was known may be what was wrong."""
        self._known.clear()

    def call(
        self,
        url: str,
        name: TaskName,
        args: list[object],
        kwargs: dict[str, object],
        *,
        timeout: float,
        nobody: Callable[[], None],
    ) -> object:
        """Call and wait. Ctrl-C gives it up: the KeyboardInterrupt that is raised says what becomes of the task."""
        caller = self._caller(url)
        ongoing: Ongoing | None = None
        try:
            with later():
                ongoing = caller.begin(name, args, kwargs, timeout=timeout, look=True)
            with self._waiting(ongoing.name, ongoing.id):
                return ongoing.result(nobody)
        except KeyboardInterrupt:
            raise self._given_up(caller, name, ongoing) from None

    def _given_up(self, caller: OpenCaller, name: TaskName, ongoing: Ongoing | None) -> KeyboardInterrupt:
        """What becomes of a task that was handed over, or was not."""
        if ongoing is None:
            return KeyboardInterrupt(f"{name} was not sent")
        with self._interrupts.held():
            told = caller.give_up([ongoing]).get(ongoing.id)
            return KeyboardInterrupt(_of_the_task(told or _over(ongoing)))

    def survey(self, url: str, name: TaskName, survey: Callable[[Connection], str]) -> str:
        """Ask, on a connection of its own, unless a worker had the task a few seconds ago."""
        from mpcli.wire.handshake import connect

        key = url, str(name)
        if monotonic() - self._surveyed.get(key, -_SURVEYED) < _SURVEYED:
            return ""
        try:
            with connect(url, name=f"mp shell {name}") as connection:
                told = survey(connection)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{name} was not sent") from None
        if not told:
            self._surveyed[key] = monotonic()
        return told

    def send(self, url: str, name: TaskName, args: list[object], kwargs: dict[str, object]) -> str:
        """Send, and wait until the broker has it. What its workers tell is listened to from before that."""
        from mpcli.wire.celery_message import async_message

        follower, caller = self._follower(url), self._caller(url)
        ongoing: Ongoing | None = None
        try:
            message = async_message(str(name), args, kwargs)
            with later():
                ongoing = caller.post(name, message)
            task_id = str(ongoing.result())
        except KeyboardInterrupt:
            raise self._given_up(caller, name, ongoing) from None
        self._sent[task_id] = follower
        return task_id

    def listen(self, around: Context) -> None:
        """Be ready for what comes of a task that is sent in another way than by `send`. Raises `MpError`."""
        self._follower(self.endpoint(around, Mode.ASYNC).url)

    def handle(self, around: Context, name: TaskName, task_id: str, timeout: float, due_in: float) -> Handle:
        """Of a task that was sent just now."""
        url = self.endpoint(around, Mode.ASYNC).url
        follower = self._sent.pop(task_id, None) or self._follower(url)
        return Handle(name, task_id, url, follower, timeout, due_in, self._waiting)

    def close(self) -> None:
        """Hang up."""
        for caller in self._callers.values():
            caller.close()
        for follower in self._followers.values():
            follower.close()
        self._callers.clear()
        self._followers.clear()

    def _follower(self, url: str) -> Follower:
        from mpcli.verbs.follow import Follower

        with self._lock:
            follower = self._followers.get(url)
            if follower is None or follower.error is not None:
                follower = self._followers[url] = Follower(url)
            return follower

    def _caller(self, url: str) -> OpenCaller:
        from mpcli.wire.open_caller import OpenCaller

        with self._lock:
            if url not in self._callers:
                self._callers[url] = OpenCaller(url, name="mp shell")
            return self._callers[url]


def _over(ongoing: Ongoing) -> MpError:
    """For one that had come to its end when it was given up."""
    from mpcli.wire.interruption import had_ended, interrupted_after_send

    if ongoing.error is not None:
        return ongoing.error
    return had_ended(ongoing.name) if ongoing.replies else interrupted_after_send(ongoing.name, ongoing.id)


def _of_the_task(told: MpError) -> str:
    """What became of it; that it was interrupted the shell says itself."""
    what = told.message.removeprefix("interrupted: ")
    return f"{what}; {told.hint}" if told.hint else what
