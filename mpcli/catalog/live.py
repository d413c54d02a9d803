"""Asking the workers which tasks they serve: the truth of what runs, at this moment.

The broker says how many consumers each queue has, in one round trip for all of them; that many workers are waited for,
so that an answer costs milliseconds and a timeout is spent only on a worker that is stuck. Workers without
`mp_describe` are asked for the names of their tasks. What they send is data of somebody else: it is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic, time

from mpcli.bus.naming import Mode, queue_name
from mpcli.errors import MpError
from mpcli.wire import aside
from mpcli.wire.connection import Connection
from mpcli.wire.control import Control
from mpcli.wire.handshake import connect
from mpcli.wire.methods import CHANNEL_CLOSE, CHANNEL_OPEN, QUEUE_DECLARE, QUEUE_DECLARE_OK

CONNECT_WAIT = 0.7
WORKER_WAIT = 0.7
_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})
# Queues that are looked at together, each on a channel of its own: a missing one closes its channel.
_TOGETHER, _FIRST_CHANNEL = 100, 100
_KINDS = frozenset({"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "KEYWORD_ONLY", "VAR_KEYWORD"})


class LiveTask:
    """A task as its workers tell it. `parameters` is None where only its name is known."""

    __slots__ = ("doc", "limits", "name", "parameters", "returns", "workers")

    def __init__(
        self,
        name: str,
        parameters: list[dict[str, object]] | None = None,
        returns: str | None = None,
        doc: str = "",
        limits: dict[str, object] | None = None,
        workers: list[str] | None = None,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.returns = returns
        self.doc = doc
        self.limits = limits or {}
        self.workers = workers or []

    def as_dict(self) -> dict[str, object]:
        """For the cache."""
        return {field: getattr(self, field) for field in self.__slots__}


class Live:
    """What was found: tasks by name, `queues` with messages and consumers by name (None: it does not exist).

    `modes` are those whose broker answered, `complete` those where every consumer did; `at` is in seconds since 1970.
    """

    __slots__ = ("at", "complete", "modes", "queues", "tasks")

    def __init__(self) -> None:
        self.at = time()
        self.tasks: dict[str, LiveTask] = {}
        self.queues: dict[str, tuple[int, int] | None] = {}
        self.modes: set[Mode] = set()
        self.complete: set[Mode] = set()


def ask(urls: Mapping[Mode, str], services: Iterable[str], tasks: list[str] | None = None) -> Live:
    """Ask the workers on both brokers at the same time; for `tasks` only, when some are named.

    A broker that cannot be reached within a moment is left out in silence: the source says most of it.
    """
    from threading import Thread

    live, names = Live(), list(services)
    threads = [Thread(target=_ask_one, args=(live, mode, url, names, tasks), daemon=True) for mode, url in urls.items()]
    for thread in threads:
        aside.start(thread)
    for thread in threads:
        thread.join(CONNECT_WAIT + 4 * WORKER_WAIT)
    return live


def _ask_one(live: Live, mode: Mode, url: str, services: list[str], tasks: list[str] | None) -> None:
    try:
        with connect(url, timeout=CONNECT_WAIT, name="mp tasks") as connection:
            queues = _look(connection, [queue_name(service, mode) for service in services])
            found, is_complete = _survey(Control(connection), mode, queues, tasks)
    except MpError:
        return
    live.queues.update(queues)
    live.tasks.update(found)
    live.modes.add(mode)
    if is_complete:
        live.complete.add(mode)


def _look(connection: Connection, queues: list[str]) -> dict[str, tuple[int, int] | None]:
    """Messages and consumers of each queue, by passive declaration."""
    found: dict[str, tuple[int, int] | None] = {}
    for begin in range(0, len(queues), _TOGETHER):
        waiting = dict(enumerate(queues[begin : begin + _TOGETHER], _FIRST_CHANNEL + begin))
        frames = (CHANNEL_OPEN.frame(at) + QUEUE_DECLARE.frame(at, name, *_PASSIVE) for at, name in waiting.items())
        connection.send(b"".join(frames))
        deadline = monotonic() + WORKER_WAIT
        while waiting:
            try:
                incoming = connection.receive(deadline)
            except TimeoutError:
                break
            if incoming.method is QUEUE_DECLARE_OK and incoming.channel in waiting:
                messages, consumers = (int(str(value)) for value in incoming.values[1:])
                found[waiting.pop(incoming.channel)] = messages, consumers
            elif incoming.method is CHANNEL_CLOSE and incoming.channel in waiting:
                found[waiting.pop(incoming.channel)] = None
    return found


def _survey(
    control: Control, mode: Mode, queues: Mapping[str, tuple[int, int] | None], tasks: list[str] | None
) -> tuple[dict[str, LiveTask], bool]:
    """The tasks that workers tell, and whether every consumer of the queues was heard."""
    missing = {name: state[1] for name, state in queues.items() if state and state[1]}
    found: dict[str, LiveTask] = {}
    if queues and not missing:
        return found, True
    silent: list[str] = []
    ticket = control.ask("mp_describe", {"tasks": tasks})
    for worker, reply in control.replies(ticket, monotonic() + WORKER_WAIT):
        told = reply.get("tasks") if isinstance(reply, dict) else None
        if isinstance(told, dict):
            _note(found, worker, {str(name): fields for name, fields in told.items()}, mode)
            # Asked for some tasks, a worker that has none of them cannot be told apart by them.
            _count(missing, worker, told)
        else:
            silent.append(worker)
        if queues and sum(missing.values()) <= len(silent):
            break
    if silent:
        ticket = control.ask("registered", {}, silent)
        for heard, (worker, reply) in enumerate(control.replies(ticket, monotonic() + WORKER_WAIT), 1):
            names = [str(one).partition(" ")[0] for one in reply] if isinstance(reply, list) else []
            _note(found, worker, {name: None for name in names if tasks is None or name in tasks}, mode)
            _count(missing, worker, names)
            if heard >= len(silent):
                break
    return found, not any(missing.values())


def _count(missing: dict[str, int], worker: str, names: Iterable[object]) -> None:
    """Strike the worker off every queue that it serves, as its tasks or its own name (`mplogin.sync.x@host`) say."""
    queues = {str(name).rpartition(".")[0] for name in names} | {".".join(worker.partition("@")[0].split(".")[:2])}
    for queue in queues & missing.keys():
        missing[queue] = max(0, missing[queue] - 1)


def _note(found: dict[str, LiveTask], worker: str, told: Mapping[str, object], mode: Mode) -> None:
    for name, fields in told.items():
        if f".{mode}." not in name or len(name) > 255:
            continue
        task = found.get(name)
        if task is None or task.parameters is None:
            workers = task.workers if task else []
            task = found[name] = live_task(name, fields)
            task.workers = workers
        task.workers.append(worker)


def live_task(name: str, fields: object) -> LiveTask:
    """The task from what a worker or the cache says of it; what has not the right form is left out."""
    if not isinstance(fields, dict):
        return LiveTask(name)
    parameters = fields.get("parameters")
    checked = [_parameter(one) for one in parameters] if isinstance(parameters, list) else [None]
    limits, returns, workers = fields.get("limits"), fields.get("returns"), fields.get("workers")
    return LiveTask(
        name,
        parameters=None if None in checked else [one for one in checked if one is not None],
        returns=returns if isinstance(returns, str) else None,
        doc=str(fields.get("doc") or ""),
        limits={str(key): value for key, value in limits.items()} if isinstance(limits, dict) else {},
        workers=[str(worker) for worker in workers] if isinstance(workers, list) else [],
    )


def _parameter(told: object) -> dict[str, object] | None:
    if not isinstance(told, dict):
        return None
    kind = str(told.get("kind")).upper()
    if kind not in _KINDS or not isinstance(told.get("name"), str):
        return None
    texts = {key: None if told.get(key) is None else str(told[key]) for key in ("annotation", "default")}
    return {"name": told["name"], "kind": kind, **texts, "required": bool(told.get("required"))}
