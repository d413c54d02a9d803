"""`mp dead`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context, SpendByLook, Yes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dead")(dead)


def dead(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A service, or the word show.")] = "",
    task_id: Annotated[str, typer.Argument(metavar="ID", help="Behind show: the first characters of an id.")] = "",
    of: Annotated[str, typer.Argument(metavar="SERVICE", help="Behind show ID: where to look.")] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many of each queue to look at.")] = 1000,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recording whose events may tell why tasks failed.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="With show: properties, headers with types.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON; the default when piped.")] = False,
    spend: SpendByLook = False,
    context: Context = None,
    yes: Yes = False,
) -> None:
    """List dead letters by task and reason, with the error where it is known; `mp dead show ID` shows one whole.

    Errors come from the logs of the platform that runs here, or from a recording (--events). Everything stays where it
    is; `mp replay mplogin.dead` sends it again.

    Example: mp dead show 3f2a9c1b
    """
    from contextlib import closing

    from mpcli.errors import UsageError
    from mpcli.render.asking import asker
    from mpcli.render.console import wants_json
    from mpcli.render.dead import show_dead
    from mpcli.verbs import dead as verb

    here, ask = Path.cwd(), asker()
    if service == "show":
        if not task_id:
            raise UsageError("show which one?", "mp dead show ID; `mp dead` tells ids")
        found = verb.show(
            here, task_id, service=of, limit=limit, spend=spend, recording=events, context=context, yes=yes, ask=ask
        )
    elif task_id:
        raise UsageError(f"{service} {task_id}: one service, or `show` and an id", "mp dead show ID")
    else:
        found = verb.dead(here, service, limit=limit, spend=spend, recording=events, context=context, yes=yes, ask=ask)
    with closing(found):
        show_dead(found, wants_json(as_json), full)
