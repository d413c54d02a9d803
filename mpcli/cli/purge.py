"""`mp purge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Broker, Context, JsonObject, YesAnywhere


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("purge")(purge)


def purge(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, such as mplogin.dead.")],
    where: Annotated[str | None, typer.Option(metavar="EXPRESSION", help="Only these: a Python expression.")] = None,
    task: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Only these; with * and ?.")] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only these; the first characters do.")
    ] = None,
    backup: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to save them, if not in .mp.")] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Save nothing. There is no way back.")] = False,
    spend: Annotated[
        bool, typer.Option("--spend-delivery", help="Also where what does not match loses one of its deliveries.")
    ] = False,
    broker: Broker = "",
    context: Context = None,
    yes: YesAnywhere = False,
    as_json: JsonObject = False,
) -> None:
    """Remove the messages that wait in a queue, or some of them, and keep a copy of each in a recording.

    Each is on the disk before it is removed. What workers hold is not touched. `mp replay FILE` brings them back.

    Example: mp purge mplogin.async --id 3f2a9c1b
    """
    from contextlib import closing

    from mpcli.render.asking import asker
    from mpcli.render.console import wants_json
    from mpcli.render.purge import show_purge
    from mpcli.verbs import purge as verb
    from mpcli.verbs.replay.choice import Choice

    events = verb.purge(
        Path.cwd(),
        queue,
        Choice(where=where, tasks=task or [], ids=ids or []),
        backup=backup,
        keep=not no_backup,
        spend=spend,
        broker=broker,
        context=context,
        yes=yes,
        ask=asker(),
    )
    with closing(events):
        show_purge(events, wants_json(as_json))
