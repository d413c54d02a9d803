"""`mp peek`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Broker, Context, Full, JsonLines, SpendByLook, Where, Yes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("peek")(peek)


def peek(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, such as mplogin.sync or mplogin.dead.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many to show.")] = 10,
    where: Where = "",
    scan: Annotated[int, typer.Option(min=1, metavar="N", help="With --where: how many to look through.")] = 1000,
    full: Full = False,
    as_json: JsonLines = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Append what is shown to a recording.")] = None,
    spend: SpendByLook = False,
    broker: Broker = "",
    context: Context = None,
    yes: Yes = False,
) -> None:
    """Look at the messages that wait in a queue; they stay where they are, also when this is killed.

    A look marks messages as redelivered and hides them from workers for a moment. On a quorum queue with a delivery
    limit it uses up a delivery of each one: that needs --spend-delivery.

    Example: mp peek mplogin.sync --where 'kwargs["amount"] > 100'
    """
    from contextlib import closing

    from mpcli.render.asking import asker
    from mpcli.render.console import wants_json
    from mpcli.render.peek import show_peek
    from mpcli.verbs import peek as verb

    events = verb.peek(
        Path.cwd(),
        queue,
        limit=limit,
        where=where,
        scan=scan,
        spend=spend,
        save=save,
        broker=broker,
        context=context,
        yes=yes,
        ask=asker(),
    )
    with closing(events):
        show_peek(events, wants_json(as_json), full)
