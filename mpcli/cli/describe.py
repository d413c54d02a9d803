"""`mp describe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context, JsonObject, Offline


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("describe")(describe)


def describe(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The whole name: mplogin.sync.register.")],
    context: Context = None,
    offline: Offline = False,
    as_json: JsonObject = False,
) -> None:
    """Show all that is known of a task: signature, doc, place, limits, the workers that serve it now, its queue.

    Each line says where it is known from: the source, the live workers, or what they said the last time.

    Example: mp describe mplogin.sync.register
    """
    from mpcli.render.console import wants_json
    from mpcli.render.describe import show_description
    from mpcli.verbs import describe as verb

    show_description(verb.describe(Path.cwd(), task, context, offline), wants_json(as_json))
