"""`mp peek`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("peek")(peek)


def peek(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, such as mplogin.sync or mplogin.dead.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many to show.")] = 10,
    where: Annotated[str, typer.Option(metavar="EXPRESSION", help="A Python expression on each message.")] = "",
    scan: Annotated[int, typer.Option(min=1, metavar="N", help="With --where: how many to look through.")] = 1000,
    full: Annotated[bool, typer.Option("--full", help="Properties, headers with types, undecoded bodies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines; the default when piped.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Append what is shown to a recording.")] = None,
    spend: Annotated[
        bool, typer.Option("--spend-delivery", help="Also where a look uses up one of a message's deliveries.")
    ] = False,
    broker: Annotated[str, typer.Option(metavar="sync|async", help="Which broker, when both have the queue.")] = "",
    context: Annotated[str | None, typer.Option(metavar="CONTEXT", help="Whose brokers to use.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a context that would.")] = False,
) -> None:
    """Look at the messages that wait in a queue; they stay where they are, also when this is killed.

    A look marks messages as redelivered and hides them from workers for a moment. On a quorum queue with a delivery
    limit it uses up a delivery of each one: that needs --spend-delivery.

    Example: mp peek mplogin.sync --where 'kwargs["amount"] > 100'
    """
    from contextlib import closing

    from mpcli.render.asking import asker
    from mpcli.render.console import stdout_is_terminal
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
        show_peek(events, as_json or not stdout_is_terminal(), full)
