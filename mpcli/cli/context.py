"""`mp context`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import JsonList, JsonObject


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="context",
        help="Name the brokers to work with: local ones, staging, production.\n\nExample: mp context use staging",
    )
    group.command("list")(list_)
    group.command("use")(use)
    group.command("show")(show)
    app.add_typer(group)


def list_(as_json: JsonList = False) -> None:
    """List the contexts of this platform and of your own configuration.

    Example: mp context list
    """
    from mpcli.render.console import wants_json
    from mpcli.render.context import show_contexts
    from mpcli.verbs.context import contexts

    show_contexts(contexts(Path.cwd()), wants_json(as_json))


def use(name: Annotated[str, typer.Argument(metavar="CONTEXT", help="Its name; local goes back.")]) -> None:
    """Work in a context from now on: in this platform, or, outside of any, wherever there is none.

    Example: mp context use staging
    """
    from mpcli.render.console import print_note
    from mpcli.verbs import context as verb

    file = verb.use(Path.cwd(), name)
    print_note(f"mp: working in {name} from now on ({file})")


def show(
    name: Annotated[str, typer.Argument(metavar="CONTEXT", help="Its name; the current one if left out.")] = "",
    as_json: JsonObject = False,
) -> None:
    """Show a context: its brokers without passwords, its safety, and who chose it.

    Example: mp context show staging
    """
    from mpcli.render.console import wants_json
    from mpcli.render.context import show_context
    from mpcli.verbs import context as verb

    show_context(verb.show(Path.cwd(), name or None), wants_json(as_json))
