"""A form for the arguments of a call: which fields it has, what may be put into each, and the call that comes of it.

Values are typed as people write them: text without quotes, numbers, `yes`, JSON or Python. One that begins with `=` is
Python and goes into the call as it stands: `=u["id"]`.
"""

from __future__ import annotations

import ast
import json

from mpcli.shell.cursor import Call, place
from mpcli.shell.world import Parameter, Task, World

_PLAIN = (str, int, float, bool, type(None), list, dict)
_QUOTED_NOTHING = ("''", '""')


class Form:
    """The fields that are still to be filled for the call at the cursor; `before` and `after` are the text around it.

    `kept` are the arguments that stand there already, as they were typed.
    """

    def __init__(self, task: Task, fields: list[Parameter], before: str, kept: str, after: str) -> None:
        self.task = task
        self.fields = fields
        self._before = before
        self._kept = kept
        self._after = after

    def filled(self, values: dict[str, str]) -> tuple[str, int]:
        """The line with the finished call, and where the cursor belongs: behind it. `values` is source text by name."""
        arguments = [self._kept] if self._kept else []
        only_by_position = {one.name for one in self.fields if one.kind == "POSITIONAL_ONLY"}
        arguments += [text if name in only_by_position else f"{name}={text}" for name, text in values.items()]
        call = f"{self._before}({', '.join(arguments)})"
        return call + self._after, len(call)


def form_at(text: str, cursor: int, world: World) -> Form | None:
    """The form for the task whose name or parentheses the cursor is in; None where there is none."""
    before, after = text[:cursor], text[cursor:]
    here = place(before)
    if here.word and not here.quote and (task := world.task(here.word)) is not None and not after[:1].isalnum():
        return _form(task, None, before, "", after.removeprefix("()"))
    for call in reversed(here.calls):
        task = world.task(call.name.replace(" ", "")) if call.sign == "(" else None
        if task is not None:
            kept = before[call.start + 1 : call.argument].strip().removesuffix(",").strip()
            return _form(task, call, before[: call.start], kept, after.removeprefix(")"))
    return None


def _form(task: Task, call: Call | None, before: str, kept: str, after: str) -> Form:
    given = [name for name in call.given if name != call.keyword] if call else []
    positional = [one.name for one in task.parameters or [] if one.kind.startswith("POSITIONAL")]
    given += positional[: call.position] if call else []
    fields = [one for one in task.parameters or [] if one.name not in given and not one.is_variadic]
    return Form(task, fields, before, kept, after)


def read_field(parameter: Parameter, typed: str) -> str | None:
    """The source text of what was typed into the field; None when it is left out. Raises `ValueError` for people."""
    text = typed.strip()
    if not text:
        if parameter.is_required:
            raise ValueError("this one is needed" + _empty_hint(parameter))
        return None
    if text.startswith("="):
        return _expression(text[1:].strip())
    value = _fitted(parameter, typed)
    return repr(value) if isinstance(value, _PLAIN) else repr(text)


def _fitted(parameter: Parameter, typed: str) -> object:
    """The value, held against the annotation; what Python or JSON reads goes before what is mere text."""
    from mpcli.catalog.fitting import Misfit, fit

    text = typed.strip()
    if text in _QUOTED_NOTHING:
        text = ""
    annotation = parameter.annotation
    if not annotation:
        found = _literal(text)
        return text if found is _NOTHING else found
    for value in (text, _literal(text)):
        try:
            if value is not _NOTHING:
                return fit(value, annotation)
        except Misfit as misfit:
            last = misfit
    why = last.why.partition(":")[0].removeprefix("is text that ").removeprefix("is ")
    raise ValueError(f"{last.path.strip('[]')} {why}".strip() + f"; wanted: {annotation}") from None


_NOTHING = object()


def _literal(text: str) -> object:
    """What JSON or Python reads, where they do."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NOTHING


def _expression(text: str) -> str:
    from mpcli.shell.language import rewrite

    try:
        ast.parse(rewrite(text), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"not a Python expression: {said}") from None
    return text


def _empty_hint(parameter: Parameter) -> str:
    return "; '' is the empty text" if "str" in parameter.annotation or not parameter.annotation else ""


def about(parameter: Parameter) -> str:
    """The annotation, and what happens when nothing is typed."""
    parts = [parameter.annotation or "anything"]
    if not parameter.is_required:
        parts.append(f"Enter leaves {parameter.default or 'the default'}")
    return ", ".join(parts)
