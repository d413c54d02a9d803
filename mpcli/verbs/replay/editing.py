"""`--edit`: the selected messages as a text that a person changes, and back.

The text holds a block for each message: a line with its number, task and id, then its arguments as JSON. A block that
is taken out leaves its message out; lines that begin with # are comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from mpcli.errors import UsageError
from mpcli.platform.contexts import Ask
from mpcli.verbs.replay.arguments import Arguments, Unreadable
from mpcli.verbs.replay.planning import Edits, Planned
from mpcli.wire.celery_view import CeleryView

_HEAD = """\
# Change the arguments below, save and leave: then the plan is shown, and nothing is sent before that.
# A message is left out when its block is taken out, from its == line on. An empty file sends nothing.
"""
_TITLE = re.compile(r"== +(\d+)\b")


def edit_all(messages: Iterable[Planned], edit: Callable[[str], str], ask: Ask | None) -> Edits:
    """Let a person edit; again, with the reason on top, as long as the text cannot be used and `ask` says yes.

    Raises `UsageError` when it cannot be used and nobody goes on.
    """
    kept = list(messages)
    if not kept:
        return {}
    text = as_text(kept)
    while True:
        text = edit(text)
        try:
            return edits(text, kept)
        except UsageError as error:
            if ask is None or not ask(f"{error.message}. Edit again?"):
                raise
            text = f"# {error.message}\n{_without_reason(text)}"


def _without_reason(text: str) -> str:
    at = text.find(_HEAD)
    return text if at < 0 else text[at:]


def as_text(messages: Iterable[Planned]) -> str:
    """All of them, as the editor shows them."""
    return "\n".join([_HEAD, *map(_block, messages)])


def _block(planned: Planned) -> str:
    seen = planned.seen
    title = f"== {planned.number} {_ascii(seen.task)} {_ascii(seen.view.id)}\n"
    if planned.rewritten.skip:
        return f"{title}# is not sent: {_ascii(planned.rewritten.skip)}\n"
    try:
        args, kwargs = _content(planned)
    except Unreadable as reason:
        return f"{title}# {_ascii(str(reason))}; it is sent as it is\n"
    return title + json.dumps({"args": args, "kwargs": kwargs}, indent=2) + "\n"


def _content(planned: Planned) -> tuple[list[object], dict[str, object]]:
    """As they would be sent, what `--set` changed included."""
    arguments = Arguments(CeleryView(planned.rewritten.message))
    return arguments.args, arguments.kwargs


def _shown(planned: Planned) -> str:
    """As JSON, in which 1 and 1.0 and true differ."""
    try:
        return json.dumps(_content(planned))
    except Unreadable:
        return ""


def _ascii(text: str) -> str:
    """On one line, without anything that an editor or terminal could take for a control."""
    return json.dumps(text)[1:-1]


def edits(text: str, messages: Iterable[Planned]) -> Edits:
    """What a text says of the messages. Raises `UsageError` with the line that cannot be used."""
    blocks = _blocks(text)
    found: Edits = {}
    for planned in messages:
        if planned.number not in blocks:
            found[planned.number] = None
            continue
        line, content = blocks.pop(planned.number)
        if content.strip() and json.dumps(edit := _arguments(line, content)) != _shown(planned):
            found[planned.number] = edit
    if blocks:
        number, (line, _) = next(iter(blocks.items()))
        raise UsageError(f"line {line}: there is no message {number}", "the number after == says which message it is")
    return found


def _blocks(text: str) -> dict[int, tuple[int, str]]:
    """By number: the line of the title, and the lines below it."""
    blocks: dict[int, tuple[int, str]] = {}
    number: int | None = None
    for count, line in enumerate(text.splitlines(), 1):
        title = _TITLE.match(line)
        if title:
            number = int(title[1])
            if number in blocks:
                raise UsageError(f"line {count}: message {number} stands twice", "one block for each message")
            blocks[number] = (count, "")
        elif line.startswith("#"):
            line = ""  # noqa: PLW2901 - a comment keeps its line, so that JSON's line numbers stay true
        elif line.strip() and number is None:
            raise UsageError(f"line {count} is above the first block", "a block begins with == and a number")
        if number is not None and not title:
            blocks[number] = (blocks[number][0], f"{blocks[number][1]}{line}\n")
    return blocks


def _arguments(line: int, content: str) -> tuple[list[object], dict[str, object]]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        at = line + getattr(error, "lineno", 1)
        raise UsageError(f"line {at}: not JSON: {getattr(error, 'msg', error)}", "text needs double quotes") from error
    if not isinstance(value, dict) or value.keys() != {"args", "kwargs"}:
        raise UsageError(f"below line {line}: an object with args and kwargs is wanted", "nothing else can be changed")
    args, kwargs = value["args"], value["kwargs"]
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise UsageError(f"below line {line}: args is a list and kwargs an object", "nothing else can be changed")
    return args, kwargs
