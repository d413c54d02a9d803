"""Running Python cells in one namespace, and telling shortly where one of them raised."""

from __future__ import annotations

import ast
import linecache
import traceback

from mpcli.shell import language

_OURS = __name__.rpartition(".")[0]


class Python:
    """A namespace. The value of a cell's last expression is kept as `_`, unless it is None."""

    def __init__(self, builtins: dict[str, object]) -> None:
        self.namespace: dict[str, object] = {"__name__": "__main__", "__builtins__": builtins}
        self._count = 0

    @property
    def variables(self) -> dict[str, object]:
        """The user's own names."""
        return {name: value for name, value in self.namespace.items() if not name.startswith("__")}

    def run(self, source: str, name: str = "", line: int = 1) -> object:
        """Run a cell and return the value of its last expression. Raises what it raises, `SyntaxError` at first."""
        self._count += 1
        name = name or f"<shell {self._count}>"
        if line == 1:
            # So that a traceback can show the line as it was typed.
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        body, last = _split(language.parse(source, name, line))
        exec(compile(body, name, "exec"), self.namespace)  # noqa: S102 - what the user typed to have it run
        if last is None:
            return None
        value = eval(compile(last, name, "eval"), self.namespace)  # noqa: S307 - as above
        if value is not None:
            self.namespace["_"] = value
        return value


def _split(tree: ast.Module) -> tuple[ast.Module, ast.Expression | None]:
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        return ast.Module(tree.body[:-1], []), ast.Expression(last.value)
    return tree, None


def short_traceback(error: BaseException) -> list[str]:
    """As Python shows it, without the frames that are not the user's: those of the shell itself and of `mp`."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    _shorten(told)
    return "".join(told.format()).rstrip("\n").split("\n")


def _shorten(told: traceback.TracebackException) -> None:
    told.stack[:] = [frame for frame in told.stack if not _is_ours(frame.filename)]
    for inner in (told.__cause__, told.__context__):
        if inner is not None:
            _shorten(inner)


def _is_ours(file: str) -> bool:
    return "/mpcli/" in file
