"""`--help`, the same on a terminal and in a pipe: usage, what it does, the arguments and options in groups, examples.

typer's own page names Python's types (`<list[str]>`), boxes each group, and on a terminal loads rich for it. What
stands in this one comes from the typer application: docstrings, help texts, metavars, and the group of each as
`rich_help_panel`. In a docstring a paragraph that begins with `Example:` or `Examples:` is shown as it stands.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from textwrap import wrap
from typing import Any

from mpcli.render.console import wants_colour

# Lines are not longer than people like to read, and what explains begins at the same place where there is room for it.
_WIDEST, _NARROWEST = 100, 30
_LEFT = 28

Row = tuple[str, str]


def use_own_help(command: Any) -> Any:
    """Give a command, and all that are below it, pages of this form; returns it."""
    command.get_help = partial(_page, command)
    for inner in getattr(command, "commands", {}).values():
        use_own_help(inner)
    return command


def _page(command: Any, context: Any) -> str:
    columns = shutil.get_terminal_size().columns
    width = min(max(columns - 1, _NARROWEST), _WIDEST)
    style = _Style(wants_colour(sys.stdout.isatty()))
    texts, examples = _paragraphs(str(command.help or ""))
    lines = [_usage(command, context, style), ""]
    for text in texts:
        lines += [*wrap(text, width), ""]
    for title, rows in _groups(command).items():
        lines += [style.title(title), *_columns(rows, width, style), ""]
    if examples:
        lines += [style.title("Example" if len(examples) == 1 else "Examples"), *(f"  {one}" for one in examples), ""]
    return "\n".join(lines).rstrip()


class _Style:
    """Bold and cyan, or nothing."""

    def __init__(self, colours: bool) -> None:
        self._bold, self._cyan, self._off = ("\x1b[1m", "\x1b[36m", "\x1b[0m") if colours else ("", "", "")

    def title(self, text: str) -> str:
        return f"{self._bold}{text}:{self._off}"

    def name(self, text: str) -> str:
        return f"{self._cyan}{text}{self._off}"


def _paragraphs(text: str) -> tuple[list[str], list[str]]:
    """What is said, and the lines of the examples."""
    texts: list[str] = []
    examples: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        head, _, rest = paragraph.partition(":")
        if head in ("Example", "Examples"):
            examples += [line.strip() for line in rest.splitlines() if line.strip()]
        elif paragraph.strip():
            texts.append(" ".join(paragraph.split()))
    return texts, examples


def _usage(command: Any, context: Any, style: _Style) -> str:
    words = [context.command_path]
    if getattr(command, "commands", None):
        words.append("COMMAND ...")
    words += [
        f"{_metavar(one)}" if one.required else f"[{_metavar(one)}{' ...' if one.nargs == -1 else ''}]"
        for one in _shown(command)
        if one.param_type_name == "argument"
    ]
    return f"{style.title('Usage')} {' '.join(words)} [OPTIONS]"


def _shown(command: Any) -> list[Any]:
    return [one for one in command.params if not getattr(one, "hidden", False)]


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def _groups(command: Any) -> dict[str, list[Row]]:
    """Title and rows, in the order in which they were declared; options without a group come last."""
    groups: dict[str, list[Row]] = {}
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            title = inner.rich_help_panel or "Commands"
            groups.setdefault(title, []).append((name, _first_sentence(str(inner.help or ""))))
    last: list[Row] = []
    for one in _shown(command):
        if one.param_type_name == "argument":
            groups.setdefault("Arguments", []).append((_metavar(one), one.help or ""))
        elif one.rich_help_panel:
            groups.setdefault(one.rich_help_panel, []).append(_option(one))
        else:
            last.append(_option(one))
    # By hand: the application adds it to each command only when it is run.
    groups["Options"] = [*(row for row in last if "--help" not in row[0]), ("-h, --help", "Show this page.")]
    return groups


def _option(parameter: Any) -> Row:
    names = ", ".join(sorted((*parameter.opts, *parameter.secondary_opts), key=len))
    left = names if parameter.is_flag or parameter.count else f"{names} {_metavar(parameter)}"
    default = _default(parameter)
    return left, f"{parameter.help or ''}{f' [{default}]' if default else ''}".strip()


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if parameter.is_flag or not parameter.show_default or value is None or callable(value) or value in ("", [], 0):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


def _columns(rows: Iterable[Row], width: int, style: _Style) -> Iterator[str]:
    """Names left, texts right of them, or below where there is no room."""
    rows = list(rows)
    most = min(_LEFT, width // 2)
    left = max((len(name) + 4 for name, _ in rows if len(name) + 4 <= most), default=most)
    for name, text in rows:
        lines = wrap(text, width - left) or [""]
        if len(name) + 4 <= left:
            first = f"  {style.name(name)}{' ' * (left - len(name) - 2)}{lines.pop(0)}"
            yield first.rstrip()
        else:
            yield f"  {style.name(name)}"
        yield from (" " * left + line for line in lines)
