"""`mp record show`, `stat`, `grep`, `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Full, JsonLines, JsonObject, Where

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, as `mp tail --record` makes it.")]
_Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="End after so many messages.")]


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(
        help="Look at recordings, which `mp tail --record FILE` makes.\n\nExample: mp record show login.mprec",
    )
    for command in (show, stat, grep, diff):
        group.command(command.__name__)(command)
    app.add_typer(group, name="record")


def show(file: _File, where: Where = "", limit: _Limit = None, full: Full = False, as_json: JsonLines = False) -> None:
    """Show the messages of a recording, and what became of them.

    Example: mp record show login.mprec --where 'retries > 0' --full
    """
    from mpcli.render.console import wants_json
    from mpcli.render.record import show_items
    from mpcli.verbs import record as verb
    from mpcli.verbs.parameters import parameter_names

    items = verb.show(file, where=where, limit=limit)
    show_items(items, wants_json(as_json), full, parameter_names(Path.cwd()))


def stat(file: _File, as_json: JsonObject = False) -> None:
    """Count what is in a recording: tasks, outcomes, bytes, times, what is missing.

    Example: mp record stat login.mprec
    """
    from mpcli.render.console import wants_json
    from mpcli.render.record import show_statistics
    from mpcli.verbs import record as verb

    show_statistics(verb.stat(file), wants_json(as_json))


def grep(
    pattern: Annotated[str, typer.Argument(metavar="REGEX", help="A regular expression, as Python's re has it.")],
    file: _File,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Upper and lower case alike.")] = False,
    limit: _Limit = None,
    full: Full = False,
    as_json: JsonLines = False,
) -> None:
    """Find messages: names, properties, headers as `name=value` and bodies, decompressed, are searched.

    Example: mp record grep 'a@b\\.c' login.mprec
    """
    from mpcli.render.console import print_note, wants_json
    from mpcli.render.record import show_items
    from mpcli.verbs import record as verb
    from mpcli.verbs.parameters import parameter_names

    items = verb.show(file, pattern=pattern, ignore_case=ignore_case, limit=limit)
    if not show_items(items, wants_json(as_json), full, parameter_names(Path.cwd())):
        print_note("mp: no message matches")


def diff(
    left: _File,
    right: Annotated[Path, typer.Argument(metavar="OTHER", help="The recording to compare it with.")],
    as_json: JsonLines = False,
) -> None:
    """Show how the messages of two recordings differ, to the type of each header.

    They are paired by id, and what is left by task and body, so that a replay, which has new ids, can be compared.

    Example: mp record diff before.mprec after.mprec
    """
    from mpcli.render.console import print_note, wants_json
    from mpcli.render.record import show_differences
    from mpcli.verbs import record as verb
    from mpcli.verbs.parameters import parameter_names
    from mpcli.words import counted

    count = show_differences(verb.diff(left, right), wants_json(as_json), parameter_names(Path.cwd()))
    differing = f"{counted(count, 'message')} differ{'s' if count == 1 else ''}"
    print_note(f"mp: {differing if count else 'the recordings hold the same messages'}")
