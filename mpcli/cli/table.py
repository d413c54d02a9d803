"""Writes `command_table.py`: `python -m mpcli.cli.table`, after a command or an option was added.

TAB cannot ask typer, which costs ten times what it may; so what typer knows is written down, and a test holds it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from pprint import pformat
from typing import Any

FILE = Path(__file__).with_name("command_table.py")
_HEAD = '''"""The command line as TAB sees it, written by `python -m mpcli.cli.table`."""

from __future__ import annotations

# fmt: off
'''


def table() -> str:
    """The module's text, from the typer application."""
    import typer

    from mpcli.cli.app import build_app

    root = typer.main.get_command(build_app())
    commands: dict[str, tuple[str, ...]] = {}
    options: dict[str, dict[str, str]] = {}
    arguments: dict[str, tuple[str, ...]] = {}
    summaries: dict[str, str] = {}
    for path, command in _commands(root, ""):
        inner = tuple(name for name, sub in getattr(command, "commands", {}).items() if not sub.hidden)
        if path and " " not in path:
            commands[path] = inner
            summaries[path] = _summary(str(command.help or ""))
        options[path] = _options(command)
        arguments[path] = _arguments(command)
    parts = (
        ("COMMANDS: dict[str, tuple[str, ...]]", commands),
        ("OPTIONS: dict[str, dict[str, str]]", options),
        ("ARGUMENTS: dict[str, tuple[str, ...]]", arguments),
        ("SUMMARIES: dict[str, str]", summaries),
    )
    texts = (f"{name} = {pformat(value, width=110, sort_dicts=False)}" for name, value in parts)
    return _HEAD + "\n".join(texts) + "\n"


def _commands(command: Any, path: str) -> list[tuple[str, Any]]:
    found = [(path, command)]
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            found += _commands(sub, f"{path} {name}".strip())
    return found


def _options(command: Any) -> dict[str, str]:
    """By name, what it takes; empty for a flag."""
    shown = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    return {
        name: "" if _takes_nothing(option) else _kind(option)
        for option in shown
        for name in (*option.opts, *option.secondary_opts)
    } | {"--help": ""}


def _arguments(command: Any) -> tuple[str, ...]:
    found = [one for one in command.params if one.param_type_name == "argument"]
    return tuple(kind for argument in found for kind in _kinds(argument))


def _takes_nothing(parameter: Any) -> bool:
    return bool(parameter.is_flag or getattr(parameter, "count", False))


def _summary(text: str) -> str:
    """The first sentence, without what it goes on to list."""
    return re.split(r"[.:](?:\s|$)", " ".join(text.split()))[0]


def _kinds(parameter: Any) -> list[str]:
    """What the words of an argument are; of one that takes several the metavar may name each: `ID [FILE]`."""
    kinds = [word.strip("[]") for word in _kind(parameter).split()]
    return [*kinds[:-1], kinds[-1] + ("..." if parameter.nargs == -1 else "")]


def _kind(parameter: Any) -> str:
    """The choices, or the metavar, which names what is wanted (TASK, CONTEXT, FILE), or else the parameter's name."""
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    if choices:
        return "|".join(map(str, choices))
    kind = str(parameter.metavar or parameter.name).strip("[].")
    return kind if "|" in kind else kind.upper()  # choices are written as they are typed


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{FILE.name} is written\n")
