"""Asking for the fields of a form, one after the other, on the terminal."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.validation import ValidationError, Validator

from mpcli.render.escape import escape_line
from mpcli.render.secrets import is_secret
from mpcli.shell.form import Form, about, read_field
from mpcli.shell.theme import depth, style
from mpcli.shell.world import Parameter


class Left(Exception):
    """The form was left with Esc or Ctrl-C: everything stays as it was."""


class _Fits(Validator):
    """Holds what was typed against the annotation of one parameter."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def validate(self, document: Document) -> None:
        try:
            read_field(self._parameter, document.text)
        except ValueError as error:
            raise ValidationError(len(document.text), escape_line(str(error))) from None


async def ask_fields(form: Form) -> dict[str, str]:
    """Source text by parameter; those that were skipped are absent. Raises `Left`."""
    values: dict[str, str] = {}
    for number, parameter in enumerate(form.fields, 1):
        so_far = "".join(f"{name}={text}, " for name, text in values.items() if not is_secret(name))
        source = await _ask(parameter, f"{number}/{len(form.fields)} {form.task.name}({so_far}")
        if source is not None:
            values[parameter.name] = source
    return values


async def _ask(parameter: Parameter, so_far: str) -> str | None:
    bar: StyleAndTextTuples = [
        ("", f" {escape_line(so_far)}"),
        ("class:keys", '\n Enter takes it, Esc leaves the form, = begins Python: =u["id"]'),
    ]
    session: PromptSession[str] = PromptSession(
        message=[
            ("class:form.name", escape_line(parameter.name)),
            ("class:form.about", f" ({escape_line(about(parameter))})"),
            ("", ": "),
        ],
        validator=_Fits(parameter),
        validate_while_typing=False,
        key_bindings=_keys(),
        bottom_toolbar=bar,
        style=style(),
        color_depth=depth(),
        is_password=is_secret(parameter.name),
        erase_when_done=True,
    )
    return read_field(parameter, await session.prompt_async())


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", eager=True)
    @keys.add("c-c")
    @keys.add("c-d")
    def _leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=Left())

    return keys
