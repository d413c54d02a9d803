"""What can stand at the cursor. Pure: text, world and session in, a short list out; at each keystroke.

Nothing is called or evaluated to find out: of the session's values only dictionaries, lists and attributes that are
simply there are looked at.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from mpcli.platform.files import files
from mpcli.shell.cursor import Call, Place, place
from mpcli.shell.names import LIMIT, among, matches, rank
from mpcli.shell.values import attributes, keys, resolve
from mpcli.shell.world import Task, World

_PLAIN = sorted({*keyword.kwlist, *(name for name in vars(builtins) if not name.startswith("_"))})
# The worst kind of hit: only its letters are there, in their order.
_SPREAD = 4

Commands = Callable[[list[str]], list[str]]


class Candidate:
    """`text` replaces what was typed from `start` on. `shown` is what the menu shows.

    `kind` is task, service, mode, parameter, key, attribute, name, command or file.
    """

    __slots__ = ("_about", "kind", "shown", "start", "text")

    def __init__(self, kind: str, text: str, start: int, shown: str = "", about: str | Callable[[], str] = "") -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.shown = shown or text
        self._about = about

    @property
    def about(self) -> str:
        """What stands beside it; found out when it is shown, because most hits never are."""
        return self._about if isinstance(self._about, str) else self._about()

    def __repr__(self) -> str:
        return f"<{self.kind} {self.shown}>"


class Around:
    """What of a session completion looks at: its `names`, the last `arguments` and `results` of each task, how often
    names were `used`, and `commands`, which completes the words of a `/` line as TAB does (`mpcli.cli.tab`)."""

    __slots__ = ("arguments", "commands", "names", "results", "used")

    def __init__(
        self,
        names: Mapping[str, object] | None = None,
        arguments: Mapping[str, Mapping[str, object]] | None = None,
        results: Mapping[str, object] | None = None,
        used: Mapping[str, int] | None = None,
        commands: Commands | None = None,
    ) -> None:
        self.names = {} if names is None else names
        self.arguments = {} if arguments is None else arguments
        self.results = {} if results is None else results
        self.used = {} if used is None else used
        self.commands = commands or (lambda _: [])


def candidates(text: str, world: World, around: Around, *, asked: bool = True, after: str = "") -> list[Candidate]:
    """What can stand at the end of `text`, the likeliest first. `after` is what stands behind the cursor.

    Where nothing was begun yet, names are offered only when they were `asked` for; arguments always are.
    """
    if text.lstrip().startswith("/"):
        return _command(text, around)
    here = place(text)
    if here.is_comment or (not here.word and text[-1:].isalnum()):
        return []
    if here.quote:
        return [*_keys(here, world, around, after), *_files(here)][:LIMIT]
    finder = _Finder(here, world, around, after)
    if here.owner or "." in here.word:
        return list(finder.dotted())[:LIMIT]
    if not here.word and not asked and not here.is_argument:
        return []
    return finder.plain(asked)[:LIMIT]


class _Finder:
    """Names and arguments at one place."""

    def __init__(self, here: Place, world: World, around: Around, after: str) -> None:
        self.here = here
        self.world = world
        self.around = around
        self.bracket = not after.startswith("(")

    def dotted(self) -> Iterator[Candidate]:
        """Behind a dot: the modes and tasks of a service, or the attributes of a value."""
        here, word = self.here, self.here.word
        subject, _, begun = word.rpartition(".")
        head = subject.partition(".")[0]
        if here.owner or head in self.around.names:
            value = resolve(f"{here.owner}.{subject}".strip(".") if here.owner else subject, self.around.names)
            start = here.start + word.rfind(".") + 1
            for name, about in attributes(value, begun):
                yield Candidate("attribute", name, start, about=about)
            return
        if word.count(".") == 1 and subject in self.world.modes:
            for mode in self.world.modes[subject]:
                if mode.startswith(begun) and mode != begun:
                    yield Candidate("mode", f"{subject}.{mode}.", here.start, f"{subject}.{mode}", "its tasks")
        yield from self._tasks()

    def plain(self, asked: bool) -> list[Candidate]:
        """A word without a dot."""
        word = self.here.word
        found = [*self._own_names(), *(self._services() if word or asked else ())]
        if word:
            found += self._tasks()
        found += [Candidate("name", name, self.here.start) for name in _PLAIN if word and name.startswith(word)]
        if word:
            found.sort(key=lambda one: self._order(one, word))
            if found and rank(word, found[0].shown) < _SPREAD:
                # With something better at hand, names that only share some letters are noise; but not those in use.
                found = [one for one in found if rank(word, one.shown) < _SPREAD or one.shown in self.around.used]
        return [*self._parameters(), *found]

    def _order(self, one: Candidate, word: str) -> tuple[int, int]:
        return rank(word, one.shown), -self.around.used.get(one.shown, 0)

    def _parameters(self) -> Iterator[Candidate]:
        call = self.here.calls[-1] if self.here.is_argument else None
        task = callee(call, self.world, self.around) if call else None
        if call is None or task is None:
            return
        given = {*call.given, *_by_position(task, call.position)}
        for one in task.parameters or []:
            may_be_named = one.kind in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY")
            if may_be_named and one.name not in given and matches(self.here.word, one.name):
                yield Candidate("parameter", f"{one.name}=", self.here.start, f"{one.name}=", one.about)

    def _own_names(self) -> Iterator[Candidate]:
        # `_`, the last value, is known by heart to who wants it.
        names = (name for name in self.around.names if not name.startswith("_") or self.here.word.startswith("_"))
        for name in among(self.here.word, sorted(names), self.around.used):
            yield Candidate("name", name, self.here.start, about=type(self.around.names[name]).__name__)

    def _services(self) -> Iterator[Candidate]:
        for name in self.world.services.search(self.here.word, self.around.used):
            if name not in self.around.names:
                yield Candidate("service", f"{name}.", self.here.start, name, " ".join(self.world.modes[name]))

    def _tasks(self) -> Iterator[Candidate]:
        for name in self.world.tasks.search(self.here.word, self.around.used):
            end = "" if not self.bracket else "()" if self.world.takes_nothing(name) else "("
            about = partial(_about, self.world, name)
            yield Candidate("task", f"{name}{end}", self.here.start, name, about)


def _about(world: World, name: str) -> str:
    task = world.task(name)
    return f"{task.signature}  {task.doc}".rstrip() if task else ""


def callee(call: Call, world: World, around: Around) -> Task | None:
    """What a call is of: a task, or a function of the session's own."""
    name = call.name.replace(" ", "")
    if name.partition(".")[0] not in around.names:
        return world.task(name)
    from mpcli.shell.values import as_task

    return as_task(name, resolve(name, around.names))


def _by_position(task: Task, position: int) -> list[str]:
    """The parameters that unnamed arguments in front of the cursor have taken."""
    positional = [one.name for one in task.parameters or [] if one.kind.startswith("POSITIONAL")]
    return positional[:position]


# -- inside a string -----------------------------------------------------------------------------------------------


def _keys(here: Place, world: World, around: Around, after: str) -> Iterator[Candidate]:
    call = here.calls[-1] if here.calls else None
    if call is None or here.before not in ("[", "(", "{", ","):
        return
    end = here.quote
    if call.sign == "[" and here.before == "[":
        known, end = _keys_of(call.name, around), f"{here.quote}]"
    elif call.sign == "(" and here.before == "(" and call.name.endswith(".get"):
        known = _keys_of(call.name.removesuffix(".get"), around)
    elif call.sign == "{" and call.is_at_key:
        known, end = _keys_of_argument(here.calls, world, around), f"{here.quote}: "
    else:
        return
    end = "" if after.startswith(here.quote) else end
    escaped = {key.replace("\\", "\\\\").replace(here.quote[0], f"\\{here.quote[0]}"): key for key in known}
    for text in among(here.word, escaped):
        yield Candidate("key", f"{text}{end}", here.start, escaped[text], known[escaped[text]])


def _keys_of(subject: str, around: Around) -> dict[str, str]:
    if subject.endswith(")"):
        return keys(around.results.get(subject.partition("(")[0].replace(" ", "")))
    return keys(resolve(subject, around.names))


def _keys_of_argument(calls: list[Call], world: World, around: Around) -> dict[str, str]:
    """The keys of the dictionary that this argument was the last time, or one of the same name elsewhere."""
    call = calls[-2] if len(calls) > 1 and calls[-2].sign == "(" else None
    task = callee(call, world, around) if call else None
    parameter = task.parameter_at(call.position, call.keyword) if call and task else None
    if task is None or parameter is None:
        return {}
    before = around.arguments.get(task.name, {})
    if parameter.name in before:
        return keys(before[parameter.name])
    return {key: what for other in around.arguments.values() for key, what in keys(other.get(parameter.name)).items()}


def _files(here: Place) -> Iterator[Candidate]:
    call = here.calls[-1] if here.calls else None
    is_path = "/" in here.word or here.word.startswith(("~", "."))
    if not is_path and (call is None or call.name not in ("open", "Path")):
        return
    for file in files(here.word):
        yield Candidate("file", file, here.start, file.rstrip("/").rpartition("/")[2] + file[len(file.rstrip("/")) :])


# -- commands ------------------------------------------------------------------------------------------------------


def _command(text: str, around: Around) -> list[Candidate]:
    line = text.lstrip().removeprefix("/")
    words = line.split(" ")
    word = words[-1]
    start = len(text) - len(word)
    found = []
    for answer in around.commands([*filter(None, words[:-1]), word]):
        name, _, about = answer.partition("\t")
        found.append(Candidate("file" if name.endswith("/") else "command", name, start, about=about))
    return found[:LIMIT]
