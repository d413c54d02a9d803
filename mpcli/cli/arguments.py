"""The arguments of a task as people type them, after httpie: `email=a@b.c age:=3 body:=@file.json note=@file.txt`.

    name=text        text as it stands
    name:=json       any JSON value
    name=@file       the text of a file
    name:=@file      the JSON value in a file

The first separator counts. A backslash in front of `=`, `:` or `@` makes that sign a part of the name; behind the
separator all is taken as it stands, save that `name=\\@x` is the text `@x`. `-` stands for JSON on stdin.
"""

from __future__ import annotations

import json
import os

from mpcli.errors import UsageError

STDIN_ITEM = "-"
# The longest first: at the same place `:=@` is not `:=`.
_SEPARATORS = (":=@", ":=", "=@", "=")
_SIGNS = "=:@"
# How long stdin may stay silent, in seconds, when nobody said that there is something in it.
_GRACE = 0.5
_PATIENCE = 10.0


CODE_KINDS = ("python", "pytest", "curl")


class CallOptions:
    """How to call. `timeout` is in seconds, `countdown`, `eta` and `expires` as they were typed; `as_code` is one of
    `CODE_KINDS`, empty to call."""

    __slots__ = (
        "as_code",
        "as_json",
        "check",
        "context",
        "countdown",
        "eta",
        "expires",
        "timeout",
        "trace",
        "wait",
        "yes",
    )

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        as_json: bool = False,
        check: bool = True,
        wait: bool = False,
        countdown: str = "",
        eta: str = "",
        expires: str = "",
        trace: bool = False,
        as_code: str = "",
        context: str = "",
        yes: bool = False,
    ) -> None:
        self.timeout = timeout
        self.as_json = as_json
        self.check = check
        self.wait = wait
        self.countdown = countdown
        self.eta = eta
        self.expires = expires
        self.trace = trace
        self.as_code = as_code
        self.context = context
        self.yes = yes

    def as_dict(self) -> dict[str, object]:
        """By name."""
        return {slot: getattr(self, slot) for slot in self.__slots__}


class CallRequest:
    """What the command line asks for, whichever parser read it."""

    __slots__ = ("args", "kwargs", "options", "task")

    def __init__(self, task: str, args: list[object], kwargs: dict[str, object], options: CallOptions) -> None:
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallRequest) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"CallRequest({self.task!r}, {self.args!r}, {self.kwargs!r}, {self.options.as_dict()!r})"


def build_request(
    task: str, items: list[str], args_json: str | None, kwargs_json: str | None, options: CallOptions
) -> CallRequest:
    """Put the words of the command line together, with what stdin holds. Raises `UsageError`, before anything is sent.

    stdin is read when an item is `-`, or when there is no argument at all and something was piped or redirected in.
    """
    args: list[object] = []
    kwargs: dict[str, object] = {}
    if args_json is not None:
        _add(args, kwargs, _json(args_json, "--args"), "--args", list)
    if kwargs_json is not None:
        _add(args, kwargs, _json(kwargs_json, "--kwargs"), "--kwargs", dict)
    for item in items:
        if item == STDIN_ITEM:
            _add(args, kwargs, _json(read_stdin(), "stdin"), "stdin")
        else:
            key, value = parse_item(item)
            _add(args, kwargs, {key: value}, item)
    if not items and args_json is None and kwargs_json is None and (text := peek_stdin()):
        _add(args, kwargs, _json(text, "stdin"), "stdin")
    return CallRequest(task, args, kwargs, options)


def _add(args: list[object], kwargs: dict[str, object], value: object, source: str, wanted: type | None = None) -> None:
    """An array is the positional arguments, an object the named ones; nothing is given twice."""
    if wanted is not None and not isinstance(value, wanted):
        raise UsageError(f"{source} is not a JSON {'array' if wanted is list else 'object'}", _EXAMPLES[source])
    if isinstance(value, list):
        if args:
            raise UsageError("positional arguments are given twice", "by --args or on stdin, not both")
        args.extend(value)
    elif isinstance(value, dict):
        if twice := kwargs.keys() & value.keys():
            raise UsageError(f"argument {min(twice)!r} is given twice", "give each argument once")
        kwargs.update(value)
    else:
        raise UsageError(f"{source} is neither a JSON object nor an array", _EXAMPLES.get(source, ""))


_EXAMPLES = {
    "--args": "for example --args '[1, 2]'",
    "--kwargs": """for example --kwargs '{"name": "value"}'""",
    "stdin": """{"name": "value"} for named arguments, [1, 2] for positional ones""",
}


def parse_item(item: str) -> tuple[str, object]:
    """Name and value of one item. Raises `UsageError`, which names the item or the file."""
    key, separator, text = _split(item)
    if not key:
        raise UsageError(
            f"{item!r} is not an argument: it must be name=text or name:=json",
            "positional arguments are given as --args '[1, 2]'",
        )
    if separator == "=":
        return key, text[1:] if text.startswith("\\@") else text
    if separator == ":=":
        return key, _json(text, item)
    content = _read_file(text, item)
    return key, content if separator == "=@" else _json(content, text)


def _split(item: str) -> tuple[str, str, str]:
    """Name, separator and the rest; an empty name when there is none."""
    key: list[str] = []
    at = 0
    while at < len(item):
        sign = item[at]
        if sign == "\\" and item[at + 1 : at + 2] and item[at + 1] in _SIGNS:
            key.append(item[at + 1])
            at += 2
            continue
        for separator in _SEPARATORS:
            if item.startswith(separator, at):
                return "".join(key), separator, item[at + len(separator) :]
        key.append(sign)
        at += 1
    return "", "", ""


def _read_file(path: str, item: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{item}: {path!r}: {(error.strerror or str(error)).lower()}", _AT_HINT) from error
    except ValueError as error:
        raise UsageError(f"{item}: {path!r} is not UTF-8 text", "binary content is no JSON value") from error


_AT_HINT = "a text that begins with @ is written as name=\\@text"


def _json(text: str, source: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise UsageError(f"{source}: JSON that is nested too deeply") from error
    except ValueError as error:
        hint = "text needs quotes in JSON, or = instead of :=" if ":=" in source else _EXAMPLES.get(source, "")
        if source == "stdin" and "Extra data" in str(error):
            hint = "one value is one call; `--batch` makes a call of each line"
        raise UsageError(f"{source} is not JSON: {error}", hint) from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is a number of Python's, not of JSON's")


# -- stdin ---------------------------------------------------------------------------------------------------------


def read_stdin(descriptor: int = 0) -> str:
    """All of stdin, which the user asked for: waited for as long as it takes. Raises `UsageError`."""
    return _text(_read_all(descriptor, None))


def peek_stdin(descriptor: int = 0) -> str:
    """What was redirected into stdin, or nothing; never waits for somebody who may not be there.

    Under cron, CI and `ssh` stdin is often an open pipe in which nothing ever comes. So a file is read, a terminal and
    a device are left alone, and a pipe that stays silent for half a second is too.
    """
    import stat

    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return ""  # closed
    if stat.S_ISREG(mode):
        return _text(_read_all(descriptor, None)).strip()
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) or not _has_input(descriptor, _GRACE):
        return ""
    return _text(_read_all(descriptor, _PATIENCE)).strip()


def _has_input(descriptor: int, wait: float) -> bool:
    """Whether something, be it the end, can be read within `wait` seconds."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(wait * 1000))


def _read_all(descriptor: int, patience: float | None) -> bytes:
    """To the end; with `patience`, no single silence may be longer than so many seconds."""
    parts: list[bytes] = []
    try:
        while True:
            if patience is not None and not _has_input(descriptor, patience):
                raise UsageError(
                    f"stdin began and did not end within {patience:g} s",
                    "end it, or say `-` to wait for it as long as it takes",
                )
            part = os.read(descriptor, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    except OSError as error:
        raise UsageError(f"stdin: {(error.strerror or str(error)).lower()}") from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("stdin is not UTF-8 text", "JSON is written in UTF-8") from error
