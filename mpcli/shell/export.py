"""A session as a Python script or a pytest test, which calls what was called through `mpcli.bus.Caller`.

The cells stay as they were typed, but for the tasks: `mplogin.sync.register(user_obj=u)` becomes
`caller.call("mplogin.sync.register", user_obj=u)`. What cannot stand by itself is left in as a comment that says why.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from mpcli.shell.language import parse, task_named

ASYNC = "async"
# From where to where what is written instead.
Edit = tuple[int, int, str]


class Logged(NamedTuple):
    """A cell of Python that was run. `raised` is the type that the task raised, `failed` what else went wrong, and
    `value` what the cell came to."""

    text: str
    context: str | None
    value: object = None
    raised: str = ""
    failed: str = ""


def example(value: object) -> object:
    """What of a value is needed here, and not the value, which may be large: its keys, or one of its type."""
    if isinstance(value, dict):
        return dict.fromkeys(value)
    if value is None or isinstance(value, bool):
        return value
    return next((kind() for kind in (str, int, float, list) if isinstance(value, kind)), ...)


def export(log: Sequence[Logged], timeout: float, is_service: Callable[[str], bool], as_test: bool) -> str:
    """The text of the script, or of a test that asserts what can be the same the next time: keys, types, errors."""
    writer = _Writer(log, is_service, as_test)
    body = [line for logged in log for line in writer.cell(logged)]
    if all(line.startswith("#") for line in body):
        body.append("pass")
    head = _HEAD.format(
        what="test" if as_test else "script",
        imports="\nimport pytest\n" if writer.raises else "",
        partial="from functools import partial\n\n" if writer.partial else "",
        error="from mpcli.errors import RemoteError\n" if writer.raises else "",
        timeout=f"{timeout:g}",
    )
    if as_test:
        return head + "\ndef test_session() -> None:\n" + "\n".join(_indented("\n".join(body))) + "\n"
    return head + "\n".join(body) + "\n"


_HEAD = '''"""A {what} made by /export of `mp shell`. It runs where `mp` finds the brokers: in the platform's folder."""

{partial}import sys

from mpcli.bus import Caller
{error}from mpcli.platform.contexts import allow_write, resolve
{imports}

def caller_in(context: str | None) -> Caller:
    found = resolve(context=context)
    allow_write(found, "run this session", yes="--yes" in sys.argv)  # a careful context is one here too
    return Caller(found.urls.get("sync"), found.urls.get("async"), prefix=found.prefix, timeout={timeout})

'''


class _Untranslatable(Exception):
    """Why a cell cannot stand in a script."""


class _Writer:
    def __init__(self, log: Sequence[Logged], is_service: Callable[[str], bool], as_test: bool) -> None:
        self.as_test = as_test
        self._is_service = is_service
        self.raises = False
        self.partial = False
        self._context: object = self  # no context is equal to it
        # Whether any cell wants the last result by its name.
        self._wants_last = any(_loads(logged.text, "_") for logged in log if not logged.failed)
        self._handles: set[str] = set()

    def cell(self, logged: Logged) -> list[str]:
        """The lines of a cell."""
        if logged.failed:
            return _comment(logged.text, logged.failed)
        if logged.raised and not self.as_test:
            return _comment(logged.text, f"raised {logged.raised}")
        try:
            source = self._translated(logged)
        except (_Untranslatable, SyntaxError, ValueError) as why:
            return _comment(logged.text, str(why))
        lines = []
        if logged.context != self._context:
            self._context = logged.context
            lines = [f"caller = caller_in({_quoted(logged.context) if logged.context else None})", ""]
        if logged.raised:
            self.raises = True
            lines += ["with pytest.raises(RemoteError) as caught:", *_indented(source)]
            return [*lines, f"assert caught.value.type_name == {_quoted(logged.raised)}"]
        asserted = _assertions(self._result, logged.value) if self.as_test else []
        return lines + source.split("\n") + asserted

    @property
    def _result(self) -> str:
        return "_" if self._wants_last else "result"

    def _translated(self, logged: Logged) -> str:
        """The source with its tasks called through `caller`, and something done with the value of an expression."""
        tree, source = parse(logged.text), logged.text
        offsets = _Offsets(source)
        self._note_handles(tree)
        done: set[ast.AST] = set()
        edits = [*self._calls(tree, source, offsets, done), *self._references(tree, offsets, done)]
        if not logged.raised:
            edits += self._uses(tree, offsets, logged.value)
        written = _edited(source, edits).rstrip("\n")
        try:
            ast.parse(written)
        except SyntaxError:
            raise _Untranslatable("it is Python only in the shell") from None
        return written

    def _calls(self, tree: ast.Module, source: str, offsets: _Offsets, done: set[ast.AST]) -> Iterator[Edit]:
        """Tasks that are called, and the ids of handles. What names a task is `done` then."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (named := self._called(node)):
                done.update(ast.walk(named))
                if isinstance(node.func, ast.Call):
                    done.add(node.func.func)
                yield from _call(source, offsets, node, named)
            elif isinstance(node, ast.Attribute) and self._is_handle(node.value):
                if node.attr != "id":
                    raise _Untranslatable("only the shell can wait for an async task")
                yield offsets.span(node.value)[1], offsets.span(node)[1], ""

    def _references(self, tree: ast.Module, offsets: _Offsets, done: set[ast.AST]) -> Iterator[Edit]:
        """Tasks that are named without a call."""
        for node in ast.walk(tree):
            if node in done:
                continue
            if isinstance(node, ast.Attribute) and (task := self._task(node.value)):
                raise _Untranslatable(f"it asks {task} for its {node.attr}")
            if task := self._task(node):
                done.update(ast.walk(node))
                self.partial = True
                yield *offsets.span(node), f"partial(caller.{_method(task)}, {_quoted(task)})"
            elif isinstance(node, ast.Name) and self._is_service(node.id):
                raise _Untranslatable(f"it uses {node.id} without a task")

    def _uses(self, tree: ast.Module, offsets: _Offsets, value: object) -> Iterator[Edit]:
        """Keep the value of each expression where it is wanted, print or assert that of the last."""
        for statement in tree.body:
            is_last = statement is tree.body[-1] and value is not None
            if not isinstance(statement, ast.Expr) or not (is_last or self._wants_last):
                continue
            begin, end = offsets.span(statement)
            if is_last and not self.as_test:
                before, behind = ("print(_ := (", "))") if self._wants_last else ("print(", ")")
            else:
                before, behind = f"{self._result} = ", ""
                if statement.lineno != statement.end_lineno:  # it may not go on without brackets
                    before, behind = f"{before}(", ")"
            yield from ((begin, begin, before), (end, end, behind))

    def _called(self, call: ast.Call) -> ast.expr | None:
        """The expression that names the task, when the call is one of a task, maybe `with_options`."""
        named: ast.expr = call.func
        if isinstance(named, ast.Call) and isinstance(named.func, ast.Attribute) and named.func.attr == "with_options":
            named = named.func.value
        return named if self._task(named) else None

    def _task(self, node: ast.AST) -> str:
        task = task_named(node)
        return task if task and self._is_service(task.partition(".")[0]) else ""

    def _is_handle(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            named = self._called(node)
            return named is not None and f".{ASYNC}." in self._task(named)
        return isinstance(node, ast.Name) and node.id in self._handles

    def _note_handles(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                names = {target.id for target in node.targets if isinstance(target, ast.Name)}
                self._handles -= names
                self._handles |= names if self._is_handle(node.value) else set()


def _quoted(text: str) -> str:
    return json.dumps(text)


def _method(task: str) -> str:
    return "send" if f".{ASYNC}." in task else "call"


def _call(source: str, offsets: _Offsets, node: ast.Call, named: ast.expr) -> list[Edit]:
    task = task_named(named)
    begin, end = offsets.span(node.func)
    if "".join(source[slice(*offsets.span(named))].split()) != task:
        raise _Untranslatable("it calls a task inside of an f-string")  # whose places Python 3.11 guesses
    bracket = source.index("(", end)
    comma = ", " if node.args or node.keywords else ""
    name = bracket + 1, bracket + 1, f"{_quoted(task)}{comma}"
    if named is node.func:
        return [(begin, end, f"caller.{_method(task)}"), name]
    return [(*offsets.span(named), "caller"), (end, end, f".{_method(task)}"), name]


def _edited(source: str, edits: Iterable[Edit]) -> str:
    """From the end to the beginning; at the same place what is put in stands before what is replaced."""
    for at, until, text in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        source = source[:at] + text + source[until:]
    return source


class _Offsets:
    """Positions of the syntax tree, which are lines and bytes of UTF-8, as positions in the text."""

    def __init__(self, source: str) -> None:
        self._lines = list(io.StringIO(source))
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def at(self, line: int, column: int) -> int:
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return self._starts[line - 1] + len(text.encode()[:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, (ast.expr, ast.stmt))
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)


def _loads(text: str, name: str) -> bool:
    try:
        return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(parse(text)))
    except (SyntaxError, ValueError):
        return False


def _comment(text: str, why: str) -> list[str]:
    return [f"# left out, {why}:", *(f"#     {line}".rstrip() for line in text.strip("\n").split("\n"))]


def _assertions(name: str, value: object) -> list[str]:
    """What of the value is the same when it is called again: ids and times are not."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key.isidentifier() for key in value):
            return [f"assert isinstance({name}, dict)"]  # by ids, or the like
        keys = ", ".join(map(_quoted, value))
        return [f"assert {name}.keys() == {{{keys}}}" if value else f"assert {name} == {{}}"]
    if isinstance(value, bool):
        return [f"assert {name} is {value!r}"]
    return [f"assert isinstance({name}, {type(value).__name__})"] if isinstance(value, (str, int, float, list)) else []


def _indented(source: str) -> list[str]:
    """By four spaces, but for lines that begin inside of a string."""
    inside: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.STRING or tokenize.tok_name[token.type].endswith("STRING_MIDDLE"):
                inside.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        pass
    lines = source.split("\n")
    return [line if number in inside or not line else f"    {line}" for number, line in enumerate(lines, 1)]
