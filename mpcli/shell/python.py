"""Running Python cells in one namespace, and telling shortly where one of them raised."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from mpcli.shell import language

_STDLIB = str(Path(os.__file__).parent) + os.sep
_HOME = str(Path(__file__).parents[1]) + os.sep


class Result(NamedTuple):
    """The value of a cell, and whether its last expression was the call of a task."""

    value: object
    is_called: bool


class Python:
    """A namespace. The value of each expression is kept as `_`, unless it is None."""

    def __init__(self, builtins: dict[str, object]) -> None:
        self.namespace: dict[str, object] = {"__name__": "__main__", "__builtins__": builtins}
        self._count = 0

    @property
    def variables(self) -> dict[str, object]:
        """The user's own names."""
        return {name: value for name, value in self.namespace.items() if not name.startswith("__")}

    def run(self, source: str, name: str = "", line: int = 1) -> Result:
        """Run a cell and return the value of its last expression. Raises what it raises, `SyntaxError` at first."""
        self._count += 1
        if not name:
            name = f"<shell {self._count}>"
            remember_source(name, source)
        result = Result(None, False)
        for piece in _pieces(language.parse(source, name, line)):
            result = self._run_piece(piece, name)
        return result

    def _run_piece(self, piece: ast.Module | ast.Expr, name: str) -> Result:
        if isinstance(piece, ast.Module):
            exec(compile(piece, name, "exec"), self.namespace)  # noqa: S102 - what the user typed to have it run
            return Result(None, False)
        value = eval(compile(ast.Expression(piece.value), name, "eval"), self.namespace)  # noqa: S307 - as above
        if value is not None:
            self.namespace["_"] = value
        return Result(value, isinstance(piece.value, ast.Call) and bool(language.task_named(piece.value.func)))

    def evaluate(self, name: str) -> object:
        """What a name stands for. Raises what Python does."""
        return eval(language.rewrite(name), self.namespace)  # noqa: S307 - a name that the user typed

    def about(self, name: str, wants_more: bool) -> str:
        """What a dotted name of the user's is: its type, its value, its doc. Raises `NameError`, `AttributeError`."""
        found = self.evaluate(name)
        about = f"{name}: {type(found).__name__}\n{found!r}"
        doc = inspect.getdoc(found) if callable(found) or wants_more else ""
        try:
            shown = f"{name}{inspect.signature(found)}\n" if callable(found) else ""
        except (TypeError, ValueError):
            shown = ""
        return f"{shown}{about}" + (f"\n\n{doc}" if doc else "")


def _pieces(tree: ast.Module) -> Iterator[ast.Module | ast.Expr]:
    """Each expression by itself, and what is between them together."""
    for is_expression, statements in groupby(tree.body, lambda statement: isinstance(statement, ast.Expr)):
        if is_expression:
            yield from (statement for statement in statements if isinstance(statement, ast.Expr))
        else:
            yield ast.Module(list(statements), [])


def short_traceback(error: BaseException) -> list[str]:
    """As Python shows it, without the frames that are not the user's: those of the shell itself and of `mp`."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    _shorten(told)
    return "".join(told.format()).rstrip("\n").split("\n")


def remember_source(name: str, source: str) -> None:
    """Let tracebacks show the lines of what stands in no file."""
    linecache.cache[name] = (len(source), None, [f"{line}\n" for line in source.split("\n")], name)


def place(error: BaseException) -> str:
    """The line of the user's code that raised; empty for the only line of what was typed at a prompt."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_of_others(frame.filename)]
    if not frames or (len(frames) == 1 and frames[0].lineno == 1 and frames[0].filename.startswith("<")):
        return ""
    inside = "" if frames[-1].name == "<module>" else f", in {frames[-1].name}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}{inside}"


def _shorten(told: traceback.TracebackException) -> None:
    told.stack[:] = [frame for frame in told.stack if not _is_ours(frame.filename)]
    for inner in (told.__cause__, told.__context__):
        if inner is not None:
            _shorten(inner)


def _is_of_others(file: str) -> bool:
    return _is_ours(file) or "site-packages" in file or file.startswith(_STDLIB)


def _is_ours(file: str) -> bool:
    return file.startswith(_HOME) or file == ast.__file__
