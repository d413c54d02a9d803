"""A call as code to keep: Python on `bus.Caller`, a pytest test, or the `curl` to an edge. Nothing is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from keyword import iskeyword
from unicodedata import normalize

from mpcli.bus.naming import DEFAULT_PREFIX, Mode, TaskName
from mpcli.errors import MpError, UsageError
from mpcli.platform.contexts import Context, resolve
from mpcli.verbs.checking import check_arguments, known_task

EDGE_URL, DEFAULT_EDGE = "MP_EDGE_URL", "http://127.0.0.1:8000"
_WIDTH = 100


def as_code(
    kind: str,
    task: str,
    args: list[object],
    kwargs: dict[str, object],
    options: Mapping[str, object] | None = None,
    *,
    start: str = ".",
    context: str | None = None,
    check: bool = True,
) -> str:
    """The call as `kind` (python, pytest or curl), without a newline at the end.

    `options` are those of `Caller.with_options`. The arguments are checked by what is known here, unless `check` is
    False; no broker is asked. Raises `InvalidName`, `ArgumentsRefused`, and `UsageError` for what `kind` cannot say.
    """
    around = resolve(start, context)
    name = TaskName.parse(task, around.prefix)
    if check:
        (args, kwargs), _ = check_arguments(around, name, args, kwargs, _nowhere)
    if kind == "curl":
        return _curl(around, name, args, kwargs, options or {})
    code = _Code(around, name, args, kwargs, options or {})
    return code.test() if kind == "pytest" else code.script()


def _nowhere() -> str:
    raise MpError("nobody is asked")


class _Code:
    """The call as Python."""

    def __init__(
        self,
        around: Context,
        name: TaskName,
        args: list[object],
        kwargs: dict[str, object],
        options: Mapping[str, object],
    ) -> None:
        self.imports: set[str] = set()
        self.name = name
        self.caller = "Caller()" if around.prefix == DEFAULT_PREFIX else f"Caller(prefix={_quoted(around.prefix)})"
        self.options = [f"{key}={self.text(value)}" for key, value in options.items()]
        plain = {key: value for key, value in kwargs.items() if _is_name(key)}
        self.arguments = [_quoted(str(name)), *map(self.text, args)]
        self.arguments += [f"{key}={self.text(value)}" for key, value in plain.items()]
        if rest := {key: value for key, value in kwargs.items() if key not in plain}:
            self.arguments.append(f"**{self.text(rest)}")

    def text(self, value: object) -> str:
        """The value's source text; what it needs is noted for the imports."""
        if isinstance(value, dict):
            return f"{{{', '.join(f'{self.text(key)}: {self.text(part)}' for key, part in value.items())}}}"
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(self.text, value))}]"
        home = type(value).__module__
        if home == "datetime":
            self.imports.add("import datetime")
            return f"datetime.{type(value).__name__}.fromisoformat({_quoted(value.isoformat())})"  # type: ignore[attr-defined]
        if home in ("decimal", "uuid"):
            self.imports.add(f"from {home} import {type(value).__name__}")
        return _quoted(value) if isinstance(value, str) else repr(value)

    def call(self, indent: int) -> str:
        options = f".with_options({', '.join(self.options)})" if self.options else ""
        begun = f"caller{options}.{'call' if self.name.mode is Mode.SYNC else 'send'}("
        line = f"{begun}{', '.join(self.arguments)})"
        if len(line) + indent + len("result = ") <= _WIDTH:
            return line
        inner = "".join(f"{' ' * (indent + 4)}{argument},\n" for argument in self.arguments)
        return f"{begun}\n{inner}{' ' * indent})"

    def head(self) -> str:
        """The imports, and a blank line behind those of the standard library."""
        return "".join(f"{line}\n" for line in sorted(self.imports, reverse=True)) + ("\n" if self.imports else "")

    def script(self) -> str:
        variable = f"MP_{self.name.mode.upper()}_URL"
        result = "result" if self.name.mode is Mode.SYNC else "task_id"
        return (
            f"{self.head()}from mpcli.bus import Caller\n\n"
            f"with {self.caller} as caller:  # {variable} names the broker; that of `mp up` is in .mp/state.json\n"
            f"    {result} = {self.call(4)}\nprint({result})"
        )

    def test(self) -> str:
        is_sync = self.name.mode is Mode.SYNC
        ending = "    assert result == ...  # what it should be" if is_sync else "    assert task_id"
        return (
            f"{self.head()}from mpcli.bus import Caller\n\n\n"
            f"def test_{self.name.task}(caller: Caller) -> None:  # the fixture in the service's tests/conftest.py\n"
            f"    {'result' if is_sync else 'task_id'} = {self.call(4)}\n\n{ending}"
        )


def _quoted(text: str) -> str:
    """As formatters want it: in double quotes, where no sign in it speaks against that."""
    quoted = repr(text)
    return quoted if '"' in quoted else f'"{quoted[1:-1]}"'


def _curl(
    around: Context, name: TaskName, args: list[object], kwargs: dict[str, object], options: Mapping[str, object]
) -> str:
    """POST with the named arguments as a JSON object: the edge gives each task the path of its name."""
    from shlex import quote

    if told := [key for key in options if key != "timeout"]:
        raise UsageError(f"a request to the edge has no place for {', '.join(told)}", "--as-code python can say it")
    base = os.environ.get(EDGE_URL) or DEFAULT_EDGE
    body = json.dumps(_by_name(around, name, args) | kwargs, default=_plain)
    limit = f" --max-time {options['timeout']:g}" if "timeout" in options else ""
    url = quote(f"{base.rstrip('/')}/{name}")
    return f"curl -sS{limit} {url} \\\n  -H 'content-type: application/json' \\\n  -d {quote(body)}"


def _by_name(around: Context, name: TaskName, args: list[object]) -> dict[str, object]:
    """Positional arguments under the names that the signature has for them."""
    known = known_task(around, name) if args else None
    parameters = (known.parameters() if known is not None else None) or []
    names = [str(one["name"]) for one in parameters if one["kind"] in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]
    if len(args) > len(names):
        raise UsageError(
            f"the edge takes named arguments, and {name} has no name known here for all {len(args)} of them",
            "give them as name=value",
        )
    return dict(zip(names, args, strict=False))


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    isoformat: Callable[[object], str] | None = getattr(type(value), "isoformat", None)
    return isoformat(value) if isoformat else str(value)


def _is_name(key: str) -> bool:
    """Whether Python reads it as the name that it is: of a name it takes the normal form, and of `ª` makes an `a`."""
    return key.isidentifier() and not iskeyword(key) and normalize("NFKC", key) == key
