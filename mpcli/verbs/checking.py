"""The arguments of one call, held against the signature that is known here; in doubt the workers are asked.

What is known is an aid and no authority: the source may be newer than what runs, the cache older. So arguments that
fit what is known are sent without further ado, and those that do not are refused only when no running worker's own
signature takes them either. That costs a right call nothing, and a wrong one a few milliseconds.
"""

from __future__ import annotations

from mpcli.bus.naming import TaskName
from mpcli.catalog.check import ArgumentsRefused, check
from mpcli.catalog.index import IndexedTask, live_tasks
from mpcli.catalog.one import find_task
from mpcli.errors import MpError
from mpcli.platform.contexts import LOCAL, Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = tuple[list[object], dict[str, object]]
Signature = tuple[list[dict[str, object]], str | None]
_CONNECT_WAIT = 0.7


def check_arguments(
    around: Context, name: TaskName, args: list[object], kwargs: dict[str, object], url: Callable[[], str]
) -> tuple[Arguments, str]:
    """The arguments converted, and a note for the caller where there is something to say.

    `url` gives the broker to ask the workers on, and may raise `MpError`. Raises `ArgumentsRefused`.
    """
    return Checker(around, name, url).check(args, kwargs)


class Checker:
    """Checks the arguments of any number of calls of one task; what is known of it is looked up once."""

    def __init__(self, around: Context, name: TaskName, url: Callable[[], str]) -> None:
        """As for `check_arguments`."""
        self._name = name
        self._url = url
        self._known = known_task(around, name)
        self._parameters = self._known.parameters() if self._known is not None else None
        self._live: list[Signature] | None = None

    def check(self, args: list[object], kwargs: dict[str, object]) -> tuple[Arguments, str]:
        """As `check_arguments`."""
        if self._known is None or self._parameters is None:
            return (args, kwargs), ""
        try:
            return check(str(self._name), self._parameters, args, kwargs, self._known.returns), ""
        except ArgumentsRefused as refused:
            if self._live is None:
                self._live = _live_signatures(self._name, self._url)
            return _as_workers_take_it(self._name, args, kwargs, self._live, refused)


def known_task(around: Context, name: TaskName) -> IndexedTask | None:
    """What source and cache know of the task: in `local` the source goes before, elsewhere what the workers said the
    last time. None when neither knows it, or can be read."""
    try:
        is_here = bool(around.root) and around.name == LOCAL
        written = find_task(around.root, around.prefix, str(name)) if is_here else None
        if written is None:
            told = live_tasks(around.root, around.name, f"{name}\t")
            written = next((task for task in told if task.parameters() is not None), None)
        if written is None and around.root and around.name != LOCAL:
            written = find_task(around.root, around.prefix, str(name))
    except (MpError, OSError, ValueError):
        return None  # a broken mp.toml, a file that is none of ours: the call itself will tell what is wrong
    return written


def _as_workers_take_it(
    name: TaskName,
    args: list[object],
    kwargs: dict[str, object],
    signatures: list[Signature],
    refused: ArgumentsRefused,
) -> tuple[Arguments, str]:
    """As one of the signatures has it. Raises what the last of them says, or `refused`, when none takes them."""
    for parameters, returns in signatures:
        try:
            made = check(str(name), parameters, args, kwargs, returns)
        except ArgumentsRefused as by_worker:
            refused = by_worker
        else:
            return made, f"the workers run another version of {name} than is known here: sent as theirs takes it"
    raise refused


def _live_signatures(name: TaskName, url: Callable[[], str]) -> list[Signature]:
    """Those that the workers of the task's queue have of it; none when they cannot be asked."""
    from mpcli.catalog.live import live_task
    from mpcli.wire.control import Control
    from mpcli.wire.handshake import connect

    found: list[Signature] = []
    try:
        with connect(url(), timeout=_CONNECT_WAIT, name=f"mp call {name}") as connection:
            control = Control(connection)
            workers = list(control.survey(name.queue).workers)
            told = control.describe(workers, [str(name)]) if workers else {}
    except MpError:
        return []
    for tasks in told.values():
        task = live_task(str(name), tasks.get(str(name)) if isinstance(tasks, dict) else None)
        if task.parameters is not None and (task.parameters, task.returns) not in found:
            found.append((task.parameters, task.returns))
    return found
