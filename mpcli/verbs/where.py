"""`--where`: a Python expression of the user's own, compiled once, evaluated for each message.

Only what it names is decoded. Nothing in it comes from a broker: a message's content is data to it, never code.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable

from mpcli.errors import UsageError
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import plain

_FIELDS: dict[str, Callable[[Seen], object]] = {
    "task": lambda seen: seen.task,
    "service": lambda seen: seen.task.partition(".")[0],
    "id": lambda seen: seen.view.id,
    "root": lambda seen: seen.view.field("root_id"),
    "parent": lambda seen: seen.view.field("parent_id"),
    "args": lambda seen: seen.view.args,
    "kwargs": lambda seen: seen.view.kwargs,
    "retries": lambda seen: seen.view.retries,
    "eta": lambda seen: seen.view.field("eta"),
    "expires": lambda seen: seen.view.field("expires"),
    "origin": lambda seen: seen.view.field("origin"),
    "group": lambda seen: seen.view.field("group"),
    "broker": lambda seen: seen.broker,
    "at": lambda seen: seen.at,
    "dead": lambda seen: seen.kind == "dead",
    "exchange": lambda seen: seen.message.exchange,
    "routing_key": lambda seen: seen.message.routing_key,
    "headers": lambda seen: plain(seen.view.headers),
    "properties": lambda seen: plain(seen.view.properties),
    "body": lambda seen: seen.view.data(),
    "size": lambda seen: len(seen.message.body),
}
_FUNCTIONS = (
    *("abs", "all", "any", "bool", "bytes", "dict", "enumerate", "filter", "float", "int", "isinstance", "len"),
    *("list", "map", "max", "min", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip"),
)
_EXAMPLE = """for example --where 'task == "mplogin.sync.register" and kwargs["amount"] > 100'"""


class Where:
    """A compiled expression. `failures` counts the messages on which it raised, `failure` is the last reason."""

    def __init__(self, text: str) -> None:
        """Raises `UsageError` when it is no expression, or names what a message does not have."""
        self.failures = 0
        self.failure = ""
        try:
            tree = ast.parse(text.strip(), "--where", "eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UsageError(f"--where is not a Python expression: {error}", _EXAMPLE) from error
        self._globals: dict[str, object] = {"__builtins__": {name: getattr(builtins, name) for name in _FUNCTIONS}}
        self._globals["re"] = re
        loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        self._names = sorted(loaded & _FIELDS.keys())
        unknown = loaded - bound - _FIELDS.keys() - {*_FUNCTIONS, "re"}
        if unknown:
            raise UsageError(f"--where names {min(unknown)!r}", f"a message has {', '.join(_FIELDS)}")
        self._code = compile(tree, "--where", "eval")

    def __call__(self, seen: Seen) -> bool:
        """Whether the message is wanted. One on which the expression raises is not, and is counted."""
        names = {name: _FIELDS[name](seen) for name in self._names}
        try:
            return bool(eval(self._code, {**self._globals, **names}))  # noqa: S307 - the user's own expression
        except Exception as error:  # noqa: BLE001 - a message without the field is not the one that is looked for
            self.failures += 1
            self.failure = f"{type(error).__name__}: {error}"
            return False
