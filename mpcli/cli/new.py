"""`mp new platform` and `mp new service`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import JsonObject

_DryRun = Annotated[bool, typer.Option("--dry-run", help="List the files and write nothing.")]


def register(app: typer.Typer) -> None:
    """Add the group `new`."""
    group = typer.Typer(
        help="Make a platform or a service from the templates. What is there is never touched.\n\n"
        "Example: mp new service mplogin --example login",
        rich_markup_mode=None,
    )
    group.command("platform")(new_platform)
    group.command("service")(new_service)
    app.add_typer(group, name="new")


def new_platform(
    name: Annotated[str, typer.Argument(help="The folder to make.", metavar="NAME")],
    prefix: Annotated[str, typer.Option(metavar="PREFIX", help="What every service's name begins with.")] = "mp",
    dry_run: _DryRun = False,
    as_json: JsonObject = False,
) -> None:
    """Make a folder with an empty platform in it: mp.toml, and a .gitignore for what `mp up` makes.

    Example: mp new platform shop
    """
    from mpcli.verbs import new as verb

    _show(verb.new_platform(Path.cwd(), name, prefix, dry_run), as_json)


def new_service(
    name: Annotated[str, typer.Argument(help="The service's name: mplogin.", metavar="NAME")],
    task: Annotated[
        list[str] | None,
        typer.Option(help="A stub with this signature; may be repeated.", metavar="SIGNATURE"),
    ] = None,
    example: Annotated[str, typer.Option(help="A working service: login or wallet.", metavar="EXAMPLE")] = "",
    dry_run: _DryRun = False,
    as_json: JsonObject = False,
) -> None:
    """Make a service: a package with a sync and an async app, tasks, tests, a Dockerfile.

    It becomes a folder of the platform that you are in. In an empty folder it makes that folder a platform too.

    Example: mp new service mplogin --task 'sync.register(user_obj: dict) -> dict'
    """
    from mpcli.verbs import new as verb

    _show(verb.new_service(Path.cwd(), name, tuple(task or ()), example, dry_run), as_json)


def _show(created: object, as_json: bool) -> None:
    try:
        from mpcli.render.console import wants_json
        from mpcli.render.new import show_created
        from mpcli.verbs.new import Created

        assert isinstance(created, Created)  # its class would cost every `--help` an import
        show_created(created, wants_json(as_json))
    except KeyboardInterrupt:
        if getattr(created, "dry_run", False):
            raise
        from mpcli.errors import Interrupted

        undo = getattr(created, "undo", "")
        raise Interrupted("interrupted, and all was made already", f"to undo it: {undo}") from None
