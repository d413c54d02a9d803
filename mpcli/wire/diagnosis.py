"""Why calls got no answer: what the broker says of the queue, and its workers of themselves.

The workers are asked through Celery's remote control, which a pool's worker answers while the pool is busy: what they
run and since when, where they put results, what content they accept. Only spent when a call has failed; for any number
of calls that wait for the same queue the questions are asked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import localtime, strftime, time

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerError, NoReply
from mpcli.wire.control import Control, Running, Survey
from mpcli.wire.verdict import held_back, nobody_listens, unexplained

# Seconds for those that are known to be there; spent only on one that is stuck.
_WAIT = 0.6
_SHORT_WAIT = 0.2
_SHOWN = 3
_RETRY = "give it longer with --timeout, or start more workers; this call will not run later"


def so_far(control: Control, name: TaskName, task_id: str, wait: float = _SHORT_WAIT) -> str:
    """What a task that has not ended yet does or waits for, in words that go behind its name.

    `wait`, in seconds, is spent twice at most, and only on a worker that does not answer. Raises `BrokerError`.
    """
    survey = control.listeners(name.queue, wait)
    return doing(name, task_id, survey, control.active(list(survey.workers), wait) if survey.workers else {})


def doing(name: TaskName, task_id: str, survey: Survey, active: Mapping[str, list[Running]]) -> str:
    """The same, of what was found: `active` is what each worker of the queue runs."""
    if not survey.consumers:
        return f"waits: nobody is listening on {name.queue}"
    running = [(worker, task) for worker, tasks in active.items() for task in tasks]
    for worker, task in running:
        if task.id == task_id:
            return f"runs on {worker} since {since(task)}"
    if running:
        return f"waits, for {name.queue} is busy: {_shown(running)}{_waiting(survey)}"
    one = survey.consumers == 1
    does = f"{'runs' if one else 'run'} nothing" if active else f"{'does' if one else 'do'} not answer when asked"
    return f"waits: {_listening(survey.consumers)} and {does}{_waiting(survey)}"


def no_replies(control: Control, name: TaskName, timeouts: Mapping[str, float]) -> dict[str, NoReply]:
    """The errors for calls that were not answered, by id; `timeouts` has the seconds that each was given.

    The broker drops a call with its time; where a worker has fetched one and not begun it, it is revoked.
    """
    if blocked := control.connection.blocked:
        return {task_id: held_back(name, timeout, blocked) for task_id, timeout in timeouts.items()}
    try:
        found = _Findings(control, name, list(timeouts))
    except BrokerError as error:
        return {task_id: unexplained(name, timeout, error) for task_id, timeout in timeouts.items()}
    return {task_id: found.verdict(task_id, timeout) for task_id, timeout in timeouts.items()}


class _Findings:
    """What was found out about a queue whose calls stay without an answer. Raises `BrokerError`."""

    def __init__(self, control: Control, name: TaskName, task_ids: list[str]) -> None:
        self._name = name
        self._survey = control.listeners(name.queue, _WAIT)
        self._settings: dict[str, dict[str, object]] = {}
        self._running: list[tuple[str, Running]] = []
        workers = list(self._survey.workers)
        if not workers:
            return
        for worker, held in control.holders(task_ids, workers, _WAIT).items():
            control.revoke([one.id for one in held if one.state == "reserved"], [worker])
        self._settings = control.settings(workers, ("result_backend",), _WAIT)
        active = control.active(workers, _WAIT)
        self._running = [(worker, task) for worker, tasks in active.items() for task in tasks]

    def verdict(self, task_id: str, timeout: float) -> NoReply:
        """Of one call."""
        if self._survey.exists and not self._survey.consumers:
            return nobody_listens(self._name, timeout)
        begun = f"no reply from {self._name} in {timeout:g} s"
        if not self._survey.workers:
            return _without_answers(begun, self._name, self._survey)
        return self._deaf(begun) or self._slow(begun, task_id) or self._busy(begun)

    def _deaf(self, begun: str) -> NoReply | None:
        """Whether a worker is set up so that no answer can come."""
        for worker, told in self._settings.items():
            backend = told.get("result_backend")
            if "result_backend" in told and not str(backend).startswith("rpc"):
                kept = f"keeps its results in {str(backend).partition(':')[0]}" if backend else "has no result backend"
                return NoReply(
                    f"{begun}, and none will come: the worker {worker} {kept}",
                    "to be called the service must set result_backend to rpc://; the task may well have run",
                )
        return None

    def _slow(self, begun: str, task_id: str) -> NoReply | None:
        for worker, task in self._running:
            if task.id == task_id:
                return NoReply(
                    f"{begun}: it is slow; the worker {worker} has been running it since {since(task)}",
                    "it runs on, and its result is lost; give it longer with --timeout",
                )
        return None

    def _busy(self, begun: str) -> NoReply:
        survey = self._survey
        listening, waiting = f"{_listening(survey.consumers)} on {self._name.queue}", _waiting(survey)
        if self._running:
            return NoReply(f"{begun}: {listening}, busy: {_shown(self._running)}{waiting}", _RETRY)
        return NoReply(
            f"{begun}: {listening} and {'runs' if survey.consumers == 1 else 'run'} nothing now{waiting}",
            "it ended as its time ran out, or the process that ran it died: look into the worker's log",
        )


def _without_answers(begun: str, name: TaskName, survey: Survey) -> NoReply:
    if not survey.exists:
        return NoReply(
            f"{begun}: the queue {name.queue} was deleted meanwhile", "`mp down`, then `mp up`, makes it again"
        )
    one = survey.consumers == 1
    return NoReply(
        f"{begun}: {_listening(survey.consumers)} on {name.queue} and {'does' if one else 'do'} not answer when asked "
        f"what {'it does' if one else 'they do'}{_waiting(survey)}",
        "stopped, stuck, busy in a pool (solo) that answers nothing meanwhile, or without json in accept_content; "
        "a call that it has fetched may still run",
    )


def _shown(running: list[tuple[str, Running]]) -> str:
    shown = [f"{worker} runs {task.name} since {since(task)}" for worker, task in running[:_SHOWN]]
    return "; ".join(shown + ([f"{len(running) - _SHOWN} more"] if len(running) > _SHOWN else []))


def since(task: Running) -> str:
    """Since when a task runs, and for how long; by the worker's clock, which may differ from ours."""
    now = time()
    begun = min(task.since, now)
    return f"{strftime('%H:%M:%S', localtime(begun))} ({now - begun:.0f} s)" if task.since else "a moment"


def _listening(consumers: int) -> str:
    return "1 worker is listening" if consumers == 1 else f"{consumers} workers are listening"


def _waiting(survey: Survey) -> str:
    return f"; {survey.waiting} more {'call waits' if survey.waiting == 1 else 'calls wait'}" if survey.waiting else ""
