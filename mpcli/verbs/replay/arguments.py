"""What is in a task's body, to be changed and written again in the content type and compression that it had.

Only JSON is opened. Celery's marks for typed values (`{"__type__": "datetime", ...}`) stay as they are, so a value that
nobody touches is written as it was read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator

from mpcli.bus.headers import argument_reprs
from mpcli.errors import UsageError
from mpcli.wire.body import PICKLE_TYPES, Opaque, closed
from mpcli.wire.celery_view import CeleryView

# Content types in which Celery may hide a task whose id can only be read by decoding.
_SERIALIZED = PICKLE_TYPES | {"application/x-yaml", "application/x-msgpack"}
_MAX_DEPTH = 40


class Unreadable(Exception):
    """Why the arguments cannot be changed."""


class Arguments:
    """A body opened for changes; `opaque` says why it could not be, and is empty otherwise."""

    def __init__(self, view: CeleryView) -> None:
        self.changed = False
        self._properties = view.properties
        self._body, self.opaque = copy.deepcopy(view.body), view.opaque
        # Protocol 1 has everything in the body, protocol 2 its arguments and the steps that follow.
        self.first = view.protocol == 1
        if not (self.first or _is_second(self._body)):
            self.opaque = self.opaque or "not the body of a task"
        kind = str(view.properties.get("content_type") or "").partition(";")[0].strip().lower()
        self.hides_id = view.protocol == 0 and kind in _SERIALIZED

    @property
    def args(self) -> list[object]:
        """The positional arguments. Raises `Unreadable`."""
        value = self._part(0, "args", [])
        if not isinstance(value, list):
            raise Unreadable("its arguments are no list")
        return value

    @property
    def kwargs(self) -> dict[str, object]:
        """The named arguments. Raises `Unreadable`."""
        value = self._part(1, "kwargs", {})
        if not isinstance(value, dict):
            raise Unreadable("its named arguments are no object")
        return value

    @property
    def steps(self) -> dict[str, int]:
        """How many tasks hang on this one, by kind."""
        embed = self._embed()
        return {
            name: len(value) if isinstance(value, list) else 1
            for name in ("chain", "chord", "callbacks", "errbacks")
            if (value := embed.get(name))
        }

    @property
    def id(self) -> str:
        """The task's id, where the body holds it."""
        return self.text("id")

    def text(self, name: str) -> str:
        """A field of protocol 1 that is text; empty for any other."""
        value = self._body.get(name) if isinstance(self._body, dict) else None
        return value if isinstance(value, str) else ""

    def set_field(self, name: str, value: object) -> None:
        """Change a field of protocol 1."""
        assert isinstance(self._body, dict)
        self._body[name] = value
        self.changed = True

    def replace(self, args: list[object], kwargs: dict[str, object]) -> bool:
        """Take other arguments; whether they are others. Raises `Unreadable`."""
        if (self.args, self.kwargs) == (args, kwargs) and json.dumps([self.args, self.kwargs]) == json.dumps(
            [args, kwargs]
        ):
            return False
        if isinstance(self._body, dict):
            self._body |= {"args": args, "kwargs": kwargs}
        elif isinstance(self._body, list):
            self._body[:2] = [args, kwargs]
        self.changed = True
        return True

    def assign(self, change: Assignment) -> bool:
        """Set one value inside; whether it was another. Raises `Unreadable` when its path leads nowhere."""
        args, kwargs = copy.deepcopy(self.args), copy.deepcopy(self.kwargs)
        change.apply({"args": args, "kwargs": kwargs})
        return self.replace(args, kwargs)

    def renew_steps(self, new_id: Callable[[str], str], old_root: str) -> bool:
        """New ids for the tasks that follow, and no reply to whoever waited for them; whether there are any."""
        found = False
        for options in _options(self._embed()):
            found = True
            for name in ("task_id", "root_id", "parent_id"):
                if isinstance(old := options.get(name), str) and (name == "task_id" or old == old_root):
                    options[name] = new_id(old)
            if "reply_to" in options:
                del options["reply_to"]
        self.changed = self.changed or found
        return found

    def encode(self) -> bytes:
        """The body's bytes. Raises `Unreadable`."""
        try:
            return closed(self._properties, json.dumps(self._body).encode())
        except (Opaque, ValueError, RecursionError) as error:
            raise Unreadable(str(error)) from error

    def reprs(self) -> dict[str, str]:
        """`argsrepr` and `kwargsrepr`, as workers show them."""
        return argument_reprs(self.args, self.kwargs, json.dumps([self.args, self.kwargs]))

    def _part(self, index: int, name: str, absent: object) -> object:
        if self.opaque:
            raise Unreadable(f"its arguments cannot be changed: {self.opaque}")
        return self._body.get(name, absent) if isinstance(self._body, dict) else self._body[index]  # type: ignore[index]

    def _embed(self) -> dict[str, object]:
        if isinstance(self._body, dict):
            return self._body
        if _is_second(self._body) and isinstance(self._body[2], dict):  # type: ignore[index]
            return self._body[2]  # type: ignore[index]
        return {}


def _is_second(body: object) -> bool:
    return isinstance(body, list) and len(body) == 3


def _options(value: object, depth: int = 0) -> Iterator[dict[str, object]]:
    """The options of every signature inside: chains hold chords, which hold groups."""
    if depth > _MAX_DEPTH:
        raise Unreadable("its steps are nested too deeply")
    if isinstance(value, dict):
        options = value.get("options")
        if isinstance(value.get("task"), str) and isinstance(options, dict):
            yield options
        inner = value.values() if depth else [value.get(name) for name in _FOLLOWERS]
    elif isinstance(value, list):
        inner = value
    else:
        return
    for part in inner:
        yield from _options(part, depth + 1)


_FOLLOWERS = ("chain", "chord", "callbacks", "errbacks")


class Assignment:
    """`--set kwargs.currency=EUR`, `--set args.0:=1`: a path and the value that goes there."""

    __slots__ = ("path", "text", "value")

    def __init__(self, text: str) -> None:
        """Raises `UsageError` for what is no assignment."""
        self.text = text
        path, sign, value = text.partition("=")
        raw = path.endswith(":")
        self.path = path.removesuffix(":").split(".")
        if not sign or len(self.path) < 2 or self.path[0] not in ("args", "kwargs") or not all(self.path):
            raise UsageError(
                f"--set {text!r} is no assignment", "for example --set kwargs.currency=EUR or --set args.0:=1 (JSON)"
            )
        if self.path[0] == "args" and not self.path[1].isdecimal():
            raise UsageError(f"--set {text!r}: positional arguments have numbers, from 0", "for example args.0")
        self.value: object = value
        if raw:
            try:
                self.value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"--set {text!r}: not JSON: {error}", "`=` takes text, `:=` takes JSON") from error

    def apply(self, root: dict[str, object]) -> None:
        """Put the value there. A new key of an object is made, whatever else is missing is not: raises `Unreadable`."""
        holder: object = root
        for name in self.path[:-1]:
            holder = _inner(holder, name, self.text)
        last = self.path[-1]
        if isinstance(holder, dict):
            holder[last] = self.value
        elif isinstance(holder, list) and last.isdecimal() and int(last) < len(holder):
            holder[int(last)] = self.value
        else:
            raise Unreadable(f"--set {self.text}: there is no {'.'.join(self.path)}")


def _inner(holder: object, name: str, text: str) -> object:
    if isinstance(holder, dict) and name in holder:
        return holder[name]
    if isinstance(holder, list) and name.isdecimal() and int(name) < len(holder):
        return holder[int(name)]
    raise Unreadable(f"--set {text}: there is no {name} in it")
