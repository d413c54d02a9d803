"""What goes on around the prompt, seen by threads of its own on connections of their own: no keystroke waits for it.

`Watch` holds the world that completion reads, the health of both brokers and the workers that were heard of. Workers
say on the exchange `celeryev` when they start, every two seconds, and when they stop (Celery, "Monitoring and
Management Guide"); so one that comes or goes is known at once, one that was killed after `_SILENT` seconds, and a
broker that dies when its connection does. Whoever comes or goes has the catalog asked anew, and so has a file that
changed.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerRefused, MpError
from mpcli.shell.world import World, load
from mpcli.wire import aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.shell.known import Known
    from mpcli.shell.session import Session
    from mpcli.wire.connection import Connection
    from mpcli.wire.incoming import Incoming

UNKNOWN, GOOD, BAD = "unknown", "good", "bad"
_SILENT = 7.0  # three heartbeats of a worker, and a bit
_LOOK = 2.0
# Workers of a platform come together: one look is enough for all of them.
_TOGETHER = 0.3
# To take the catalog apart, 0.1 s for 10,000 tasks, keeps the interpreter from the keys: it waits for the hands to rest
# this long, but not for ever.
_REST = 0.4
_PATIENCE = 3.0
_BACKOFF = (0.3, 0.5, 1.0, 2.0, 3.0)
_CONNECT_WAIT = 3.0
_EVENTS, _BINDING = 1, 2
_KEPT: dict[str, object] = {"x-max-length": 1000}


class Watch:
    """Look after one context until `stop`. `changed` is called, from any thread, when there is news to show."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self.world = World()
        self.health = dict.fromkeys(Mode, UNKNOWN)
        self._session_start, self._named = session.start, session.named
        self._context = session.context
        self._known: Known = session.known
        self._changed = changed
        # Workers by name, and when they were last heard, on the clock of `time.monotonic`.
        self._heard: dict[str, float] = {}
        self._typed_at = -_REST
        self._wanted = Event()
        self._stopped = Event()

    def typed(self) -> None:
        """A key was typed: what can wait does not begin now."""
        self._typed_at = monotonic()

    @property
    def workers(self) -> int:
        """How many workers were heard of."""
        return len(self._heard)

    def start(self) -> None:
        """Begin; returns at once."""
        aside.start(Thread(target=self._catalog, name="mp shell catalog", daemon=True))
        for mode in Mode:
            aside.start(Thread(target=self._broker, args=(mode,), name=f"mp shell {mode}", daemon=True))

    def stop(self) -> None:
        """Look no more; the threads end within a moment."""
        self._stopped.set()
        self._wanted.set()

    # -- the catalog -----------------------------------------------------------------------------------------------

    def _catalog(self) -> None:
        self._load()
        while not self._stopped.is_set():
            self._wanted.clear()
            self._await_rest()
            try:
                self._known.refresh()
                self._note_live()
                self._load()
            except (MpError, OSError):
                pass  # what was known stays; whoever asks for it by a command is told what is wrong
            while not self._wanted.wait(_LOOK) and self._is_fresh():
                pass
            self._stopped.wait(_TOGETHER)

    def _await_rest(self) -> None:
        end = monotonic() + _PATIENCE
        while (left := min(self._typed_at + _REST, end) - monotonic()) > 0 and not self._stopped.wait(left):
            pass

    def _is_fresh(self) -> bool:
        from mpcli.catalog import index

        return not self._context.root or index.is_fresh(self._context.root)

    def _load(self) -> None:
        world = load(self._context.root, self._context.name)
        if not self._stopped.is_set():
            self.world = world
            # What is known of 10,000 tasks is tens of thousands of objects that stay. To look through them for garbage
            # would cost somebody's keystroke 50 ms; and those of the world before are in no cycles, so they went when
            # this one took their place.
            gc.freeze()
            self._changed()

    def _note_live(self) -> None:
        live = self._known.live
        now = monotonic()
        for task in live.tasks.values() if live else ():
            for worker in task.workers:
                self._heard.setdefault(worker, now)

    # -- the brokers -----------------------------------------------------------------------------------------------

    def _broker(self, mode: Mode) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                for _ in self._listen(mode):
                    failures = 0
                    if self._stopped.is_set():
                        return
            except (MpError, OSError):
                self._set(mode, BAD)
            self._stopped.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            failures += 1

    def _set(self, mode: Mode, health: str) -> None:
        if self._stopped.is_set() or self.health[mode] == health:
            return
        self.health[mode] = health
        if health == BAD:
            # Its workers may run on, but nobody hears of them.
            for worker in [name for name in self._heard if f".{mode}." in f"{name}."]:
                self._heard.pop(worker, None)
        self._changed()

    def _listen(self, mode: Mode) -> Iterator[None]:
        """Hear the workers, one step at a time. Raises `MpError` when there is no broker, or no more."""
        from mpcli.platform.contexts import resolve
        from mpcli.wire.handshake import connect

        # Anew each time: `mp up` may have started another broker on another port.
        url = resolve(self._session_start, self._named).endpoint(mode).url
        with connect(url, timeout=_CONNECT_WAIT, heartbeat=10, name="mp shell") as connection:
            self._set(mode, GOOD)
            self._wanted.set()
            queue, bind_at = _events_queue(connection), 0.0
            while True:
                if queue and bind_at <= monotonic():
                    bind_at = monotonic() + (1e9 if _bind(connection, queue) else _LOOK)
                try:
                    self._hear(connection.receive(monotonic() + 0.5))
                except TimeoutError:
                    self._forget()
                yield

    def _hear(self, incoming: Incoming) -> None:
        for what, worker in _told(incoming):
            if what == "worker-offline":
                is_new = self._heard.pop(worker, None) is not None
            else:
                is_new = worker not in self._heard
                self._heard[worker] = monotonic()
            if is_new:
                self._wanted.set()
                self._changed()

    def _forget(self) -> None:
        now = monotonic()
        silent = [name for name, at in list(self._heard.items()) if now - at > _SILENT]
        for name in silent:
            self._heard.pop(name, None)
        if silent:
            self._wanted.set()
            self._changed()


def _events_queue(connection: Connection) -> str:
    """A queue of our own for what workers tell; empty where we are not allowed one."""
    from mpcli.wire.celery_message import new_id
    from mpcli.wire.methods import BASIC_CONSUME, QUEUE_DECLARE

    queue = f"mp.shell.{new_id()}"
    try:
        connection.request(QUEUE_DECLARE, queue, False, False, True, True, False, _KEPT, channel=_EVENTS)
        connection.request(BASIC_CONSUME, queue, "", False, True, True, False, {}, channel=_EVENTS)
        connection.open_channel(_BINDING)
    except BrokerRefused:
        return ""
    return queue


def _bind(connection: Connection, queue: str) -> bool:
    """Whether the events come now; not before the first worker was ever there, whose exchange it is."""
    from mpcli.wire.events import EVENT_EXCHANGE
    from mpcli.wire.methods import QUEUE_BIND

    try:
        connection.request(QUEUE_BIND, queue, EVENT_EXCHANGE, "worker.#", False, {}, channel=_BINDING)
    except BrokerRefused:
        connection.open_channel(_BINDING)
        return False
    return True


def _told(incoming: Incoming) -> list[tuple[str, str]]:
    """What happened to which worker; nothing when the message cannot be read."""
    if not incoming.body:
        return []
    try:
        value = json.loads(incoming.body)
    except (ValueError, RecursionError):
        return []
    events = value if isinstance(value, list) else [value]
    return [
        (str(event.get("type")), str(event.get("hostname"))[:255])
        for event in events
        if isinstance(event, dict) and str(event.get("type")).startswith("worker-") and event.get("hostname")
    ]
