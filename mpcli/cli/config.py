"""`mp config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import JsonList


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("config")(config)


def config(
    context: Annotated[str | None, typer.Option(metavar="CONTEXT", help="As if it were given to a command.")] = None,
    as_json: JsonList = False,
) -> None:
    """Show every setting, its value and where it came from: default, file, environment or flag.

    Passwords are hidden.

    Example: mp config --context staging
    """
    from mpcli.render.config import show_settings
    from mpcli.render.console import wants_json
    from mpcli.verbs import config as verb

    show_settings(verb.config(Path.cwd(), context), wants_json(as_json))
