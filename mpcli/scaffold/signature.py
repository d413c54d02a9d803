"""`sync.register(user_obj: dict) -> dict`, read with `ast` and written anew: no word of it is ever evaluated."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass

from mpcli.bus.naming import Mode, check_task
from mpcli.errors import InvalidName, UsageError
from mpcli.scaffold.annotation import SIMPLE, accepts, names_in, render_type, sample

_EXAMPLE = "for example --task 'sync.register(user_obj: dict) -> dict'"
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE_LENGTH = 120
# Names that a module of tasks uses for itself.
_TAKEN = frozenset({"annotations", "async_app", "sync_app"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a stub; `default` is source text, None when there is none."""

    name: str
    annotation: str
    default: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.annotation}" + (f" = {self.default}" if self.default is not None else "")


@dataclass(frozen=True, slots=True)
class Stub:
    """A task to be written: its mode, its name, what it takes and returns."""

    mode: Mode
    name: str
    positional_only: tuple[Parameter, ...]
    ordinary: tuple[Parameter, ...]
    keyword_only: tuple[Parameter, ...]
    returns: str

    def __str__(self) -> str:
        return f"{self.mode}.{self.name}({', '.join(self._words())}) -> {self.returns}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All of them, in order."""
        return (*self.positional_only, *self.ordinary, *self.keyword_only)

    @property
    def types(self) -> set[str]:
        """The type names that the signature uses."""
        return names_in(self.returns).union(*(names_in(parameter.annotation) for parameter in self.parameters))

    def definition(self) -> str:
        """The `def` line, broken as ruff's formatter breaks it."""
        words = self._words()
        line = f"def {self.name}({', '.join(words)}) -> {self.returns}:"
        if len(line) <= _LINE_LENGTH or not words:
            return line
        indented = f"    {', '.join(words)}"
        if len(indented) > _LINE_LENGTH or words[-1] == "/":
            indented = "\n".join(f"    {word}," for word in words)
        return f"def {self.name}(\n{indented}\n) -> {self.returns}:"

    def sample_arguments(self) -> str:
        """A value for each required parameter, as a call writes them."""
        positional = [sample(parameter.annotation) for parameter in self.positional_only if parameter.default is None]
        named = [
            f"{parameter.name}={sample(parameter.annotation)}"
            for parameter in (*self.ordinary, *self.keyword_only)
            if parameter.default is None
        ]
        return ", ".join(positional + named)

    def _words(self) -> list[str]:
        words = [str(parameter) for parameter in self.positional_only]
        words += ["/"] if self.positional_only else []
        words += [str(parameter) for parameter in self.ordinary]
        words += ["*"] if self.keyword_only else []
        return words + [str(parameter) for parameter in self.keyword_only]


def parse_stubs(texts: list[str], service: str) -> list[Stub]:
    """Read and check every `--task` of a command. Raises `UsageError` or `InvalidName`; duplicates are refused."""
    stubs: list[Stub] = []
    for text in texts:
        stub = parse_stub(text, service)
        if any((stub.mode, stub.name) == (other.mode, other.name) for other in stubs):
            raise UsageError(f"{stub.mode}.{stub.name} is given twice", "give each task once")
        stubs.append(stub)
    for stub in stubs:
        # A function called `list` would hide the type from the functions below it.
        if stub.name in _TAKEN or any(stub.name in other.types for other in stubs if other.mode == stub.mode):
            raise InvalidName(f"a task cannot be called {stub.name!r} here: its module needs that name", _EXAMPLE)
    return stubs


def parse_stub(text: str, service: str) -> Stub:
    """Read one signature; the service's name may stand in front of it."""
    head, parenthesis, rest = text.strip().partition("(")
    words = head.strip().removeprefix(f"{service}.").split(".")
    if len(words) != 2 or words[0] not in list(Mode):
        raise UsageError(f"{text!r} does not begin with sync. or async. and a name", _EXAMPLE)
    mode, name = Mode(words[0]), check_task(words[1])
    if keyword.iskeyword(name) or not parenthesis:
        reason = "is a word of Python's own" if keyword.iskeyword(name) else "lacks its parameters"
        raise UsageError(f"{name!r} in {text!r} {reason}", _EXAMPLE)
    where = f"{mode}.{name}"
    function = _function(f"def {name}({rest}", text)
    arguments = function.args
    if arguments.vararg or arguments.kwarg:
        raise UsageError(f"{where}: * and ** parameters say nothing about what to send", "name every parameter")
    _check_names(function, where)
    positional = _with_defaults([*arguments.posonlyargs, *arguments.args], list(arguments.defaults), where)
    split = len(arguments.posonlyargs)
    return Stub(
        mode,
        name,
        positional_only=tuple(positional[:split]),
        ordinary=tuple(positional[split:]),
        keyword_only=tuple(
            _parameter(node, default, where)
            for node, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ),
        returns=_returns(function, mode, where),
    )


def imports(names: set[str]) -> list[str]:
    """The import lines for these type names, in order."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        if SIMPLE.get(name):
            wanted.setdefault(SIMPLE[name], set()).add(name)
    return [f"from {module} import {', '.join(sorted(wanted[module], key=_isort_key))}" for module in sorted(wanted)]


def _isort_key(name: str) -> tuple[bool, bool, str]:
    """Constants, classes, then the rest: the order in which ruff sorts the names of an import."""
    return not name.isupper(), not name[0].isupper(), name


def _function(source: str, text: str) -> ast.FunctionDef:
    """The one function that the text defines. Anything more in it (a second statement, a body) is refused."""
    if len(source) > 2000 or any(not sign.isprintable() for sign in source):
        raise UsageError(f"{text[:60]!r} is not a signature: too long, or with line ends in it", _EXAMPLE)
    try:
        body = ast.parse(f"{source}: ...").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "too deep"
        raise UsageError(f"{text!r} is not a signature: {reason}", _EXAMPLE) from error
    match body:
        case [ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=value))]) as function] if value is ...:
            return function
    raise UsageError(f"{text!r} holds more than a signature", _EXAMPLE)


def _check_names(function: ast.FunctionDef, where: str) -> None:
    arguments = function.args
    names = [node.arg for node in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    for name in names:
        if not _PARAMETER.fullmatch(name):
            raise UsageError(f"{where}: parameter {name!r} is not in plain letters", "letters, digits and underscores")
        if names.count(name) > 1:
            raise UsageError(f"{where}: parameter {name!r} is given twice", "give each parameter once")


def _with_defaults(nodes: list[ast.arg], defaults: list[ast.expr], where: str) -> list[Parameter]:
    padding: list[ast.expr | None] = [None] * (len(nodes) - len(defaults))
    return [_parameter(node, default, where) for node, default in zip(nodes, [*padding, *defaults], strict=True)]


def _parameter(node: ast.arg, default: ast.expr | None, where: str) -> Parameter:
    if node.annotation is None:
        raise UsageError(f"{where}: parameter {node.arg!r} has no type", f"for example {node.arg}: dict")
    annotation = render_type(node.annotation, where)
    return Parameter(node.arg, annotation, _default(node.arg, annotation, default, where))


def _default(name: str, annotation: str, node: ast.expr | None, where: str) -> str | None:
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError) as error:
        raise UsageError(
            f"{where}: the default of {name!r} is not a literal", "a number, a text, True, False or None"
        ) from error
    if not isinstance(value, str | int | float | bool | None) or not _finite(value):
        raise UsageError(f"{where}: {ast.unparse(node)} cannot be a default of {name!r}", f"{name}: ... | None = None")
    if not accepts(annotation, value):
        raise UsageError(f"{where}: the default of {name!r} is not of its type, {annotation}", _EXAMPLE)
    return _quoted(value) if isinstance(value, str) else repr(value)


def _finite(value: object) -> bool:
    return not isinstance(value, float) or abs(value) != float("inf")


def _quoted(value: str) -> str:
    """A string literal in double quotes, unless that would need more escapes: as ruff's formatter has it."""
    text = repr(value)
    return text if text.startswith('"') or '"' in value else f'"{text[1:-1]}"'


def _returns(function: ast.FunctionDef, mode: Mode, where: str) -> str:
    if function.returns is not None:
        return render_type(function.returns, where)
    if mode is Mode.ASYNC:
        return "None"
    raise UsageError(f"{where} does not say what it returns", "for example -> dict, or -> None")
