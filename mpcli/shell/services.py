"""The services as objects: attributes lead from a service to its modes, to its tasks, and these are called.

They stand among the builtins of the session, so a variable of the user's own goes before, and deleting that one brings
the service back. Nothing has to be known of a task to call it: whether it exists is for the call to find out.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from types import ModuleType
from typing import Any, Self

from mpcli.bus.naming import check_service, check_task
from mpcli.catalog.signature import signature
from mpcli.errors import InvalidName
from mpcli.shell.known import Known
from mpcli.shell.language import MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from mpcli.catalog.merge import CatalogTask

Options = Mapping[str, object]
Run = Callable[[str, tuple[object, ...], dict[str, object], Options], object]


class Reach:
    """What a task needs to be called and to tell about itself: the `known` catalog, and `run`, which calls."""

    __slots__ = ("known", "prefix", "run")

    def __init__(self, known: Known, prefix: str, run: Run) -> None:
        self.known = known
        self.prefix = prefix
        self.run = run


class _Named:
    """What goes by a name: equal to all of the same name."""

    __slots__ = ("_name", "_reach")

    def __init__(self, reach: Reach, name: str) -> None:
        self._reach = reach
        self._name = name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __deepcopy__(self, _: object) -> Self:
        return self  # a name is not copied with all that it leads to


class Task(_Named):
    """A task: calling it calls the real one."""

    __slots__ = ("_options",)

    def __init__(self, reach: Reach, name: str, options: Options | None = None) -> None:
        super().__init__(reach, name)
        self._options = options or {}

    def with_options(
        self,
        *,
        timeout: float | None = None,
        countdown: float | None = None,
        eta: datetime | None = None,
        expires: float | datetime | None = None,
    ) -> Task:
        """The same task, called with other options; they are those of `mpcli.bus.Caller.with_options`.

        `timeout`: how long to wait, in seconds. For async tasks: `countdown` (seconds) or `eta`, when it may begin;
        `expires`, the moment or the seconds from now after which it is dropped if it has not begun.
        """
        given = {"timeout": timeout, "countdown": countdown, "eta": eta, "expires": expires}
        new = {key: value for key, value in given.items() if value is not None}
        return Task(self._reach, self._name, {**self._options, **new})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and (other._name, other._options) == (self._name, self._options)

    def __hash__(self) -> int:
        return hash(self._name)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call it and return its result; for an async one, a handle."""
        return self._reach.run(self._name, args, kwargs, self._options)

    @property
    def __name__(self) -> str:
        return self._name

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        task = self._task
        return task.doc if task else ""

    @property
    def __signature__(self) -> Signature:
        task = self._task
        if task is None or task.parameters is None:
            raise AttributeError("__signature__")
        return _signature(task)

    @property
    def _task(self) -> CatalogTask | None:
        return self._reach.known.tasks.get(self._name)

    def __repr__(self) -> str:
        task = self._task
        options = ", ".join(f"{key}={value!r}" for key, value in self._options.items())
        name = f"{self._name}.with_options({options})" if options else self._name
        if task is None:
            return f"{name}(...), which nobody here knows"
        shown = "(...)" if task.parameters is None else signature(task.parameters, task.returns)
        doc = task.doc.partition("\n")[0]
        return f"{name}{shown}" + (f"\n    {doc}" if doc else "")


class ModeTasks(_Named):
    """The tasks of one mode of a service."""

    __slots__ = ()

    def __getattr__(self, word: str) -> Task:
        try:
            check_task(word)
        except InvalidName as error:
            raise AttributeError(error.message) from None
        return Task(self._reach, f"{self._name}.{word}")

    def __dir__(self) -> list[str]:
        service, _, mode = self._name.partition(".")
        return list(self._reach.known.services.get(service, {}).get(mode, []))

    def __repr__(self) -> str:
        words = dir(self)
        return f"{self._name}: {', '.join(words) if words else 'no task is known'}"


class Service(_Named):
    """A service, whose attributes are its modes."""

    __slots__ = ()

    def __getattr__(self, word: str) -> ModeTasks:
        if word.startswith("_"):
            raise AttributeError(word)  # what is being copied has no name yet
        if word in MODES:
            return ModeTasks(self._reach, f"{self._name}.{word}")
        modes = self._reach.known.services.get(self._name, {})
        meant = [f"{self._name}.{mode}.{word}" for mode in MODES if word in modes.get(mode, [])]
        hint = f"did you mean {' or '.join(meant)}?" if meant else f"it has {' and '.join(MODES)}"
        raise AttributeError(f"{self._name} has no {word}: {hint}")

    def __dir__(self) -> list[str]:
        return list(MODES)

    def __repr__(self) -> str:
        modes = self._reach.known.services.get(self._name)
        if not modes:
            return f"{self._name}, which nobody here knows"
        return "\n".join(repr(ModeTasks(self._reach, f"{self._name}.{mode}")) for mode in MODES if mode in modes)


class Builtins(dict[str, object]):
    """Python's builtins, and behind them every name that a service may have.

    What the user's code imports may be in `folder`, as for `python` (empty: where one is). It is the last place to be
    looked in, and only then: a file that lies there is not to be taken for a module that `mp` wants.
    """

    def __init__(self, reach: Reach) -> None:
        super().__init__(vars(builtins))
        self.reach = reach
        self.folder = ""
        self["__import__"] = self._import

    def _import(self, name: str, *rest: Any, **more: Any) -> ModuleType:
        try:
            return __import__(name, *rest, **more)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0] or self.folder in sys.path:
                raise
        sys.path.append(self.folder)
        return __import__(name, *rest, **more)

    def __missing__(self, name: str) -> Service:
        try:
            check_service(name, self.reach.prefix)
        except InvalidName:
            raise KeyError(name) from None
        return Service(self.reach, name)


class _Text:
    """A default value of which only the text is known."""

    __slots__ = ("text",)

    def __init__(self, text: object) -> None:
        self.text = text

    def __repr__(self) -> str:
        return str(self.text)


def _signature(task: CatalogTask) -> Signature:
    """As `inspect` has it; annotations and defaults are the texts that they were written as."""
    return Signature(
        [
            Parameter(
                str(one["name"]),
                getattr(Parameter, str(one["kind"])),
                default=Parameter.empty if one["default"] is None else _Text(one["default"]),
                annotation=_Text(one["annotation"]) if one["annotation"] else Parameter.empty,
            )
            for one in task.parameters or []
        ],
        return_annotation=_Text(task.returns) if task.returns else Signature.empty,
        __validate_parameters__=False,
    )
