"""`mp tasks`."""

from __future__ import annotations

from typing import Annotated

import typer

from mpcli.cli.options import Context, JsonList, Offline


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tasks")(tasks)


def tasks(
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="A part of the name, or a pattern such as 'mplogin.sync.*'.")
    ] = "",
    context: Context = None,
    offline: Offline = False,
    as_json: JsonList = False,
) -> None:
    """List the tasks of this platform: signature, first line of the doc, where they are defined, who serves them.

    They are read from the services' source, and the workers are asked when their brokers answer. Nothing is imported.

    Example: mp tasks mplogin
    """
    from mpcli.cli.fast_tasks import list_tasks

    list_tasks(pattern, context, offline, as_json)
