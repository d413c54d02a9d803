"""What is known of values without running anything of theirs: keys, attributes, and the path that leads to them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from types import FunctionType

from mpcli.shell.world import Parameter, Task

_KEPT = 200  # keys of one argument or result that are remembered
_SHOWN = 100


def resolve(path: str, names: Mapping[str, object]) -> object:
    """The value of `u["user"].rows[0]`, or None. Properties and the item access of foreign classes are not run."""
    try:
        tree = ast.parse(path.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _value(tree, names)


def _value(node: ast.expr, names: Mapping[str, object]) -> object:
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=inner, attr=name):
            owner = _value(inner, names)
            found = getattr_static(owner, name, None)
            return None if isinstance(found, property) or hasattr(type(found), "__get__") else found
        case ast.Subscript(value=inner, slice=ast.Constant(value=key)):
            owner = _value(inner, names)
            if type(owner) is dict:
                return owner.get(key)
            if type(owner) in (list, tuple) and type(key) is int:
                return _item(owner, key)
    return None


def _item(rows: object, at: int) -> object:
    assert isinstance(rows, Sequence)
    return rows[at] if -len(rows) <= at < len(rows) else None


def keys(value: object) -> dict[str, str]:
    """The text keys of a dictionary, each with what is behind it."""
    if not isinstance(value, dict):
        return {}
    return {key: type(inner).__name__ for key, inner in list(value.items())[:_KEPT] if isinstance(key, str)}


def attributes(value: object, begun: str) -> Iterator[tuple[str, str]]:
    """Names behind the dot, with their kind; the private ones only when asked for by their underscore."""
    if value is None:
        return
    for name in _names(value):
        if name.startswith(begun) and (begun.startswith("_") or not name.startswith("_")):
            found = getattr_static(value, name, None)
            yield name, "" if found is None else "method" if callable(found) else type(found).__name__


def _names(value: object) -> list[str]:
    """As `dir` has them, unless a class that has its own answer fails at it."""
    try:
        return dir(value)
    except Exception:  # noqa: BLE001 - no keystroke ends in an error of somebody's class
        return []


def _text(default: object) -> str:
    try:
        return repr(default)[:_SHOWN]
    except Exception:  # noqa: BLE001 - as above
        return "..."


def as_task(name: str, value: object) -> Task | None:
    """A function of the session's own, with its signature, as if it were a task."""
    if not isinstance(value, FunctionType):
        return None
    import inspect

    signature = inspect.signature(value)
    parameters = [
        Parameter(
            {
                "name": one.name,
                "kind": one.kind.name,
                "annotation": None if one.annotation is one.empty else inspect.formatannotation(one.annotation),
                "default": None if one.default is one.empty else _text(one.default),
                "required": one.default is one.empty,
            }
        )
        for one in signature.parameters.values()
    ]
    return Task(name, parameters, "", (value.__doc__ or "").strip().partition("\n")[0])
