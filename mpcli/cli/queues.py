"""`mp queues`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("queues")(queues)


def queues(
    pattern: Annotated[str, typer.Argument(metavar="QUEUE", help="A part of the names, or a pattern with * ?.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again; Ctrl-C ends it.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="With --watch: how often.")] = 1.0,
    everything: Annotated[
        bool, typer.Option("--all", help="Celery's own queues too: delays, events, replies.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list, or JSON Lines; the default when piped.")
    ] = False,
    context: Context = None,
) -> int:
    """List the queues of this platform on both brokers: how many wait, who consumes, how fast, dead letters.

    The queues of the services that are known here are asked for; where RabbitMQ's management API answers, every other
    queue is listed too, with unacked messages and rates.

    Example: mp queues --watch
    """
    from contextlib import closing

    from mpcli.errors import ExitCode
    from mpcli.render.console import wants_json
    from mpcli.render.queues import show_queues, watch_queues
    from mpcli.verbs import queues as verb

    piped = wants_json(as_json)
    if watch:
        snapshots = verb.watch(Path.cwd(), pattern, everything, context, every)
        try:
            with closing(snapshots):
                watch_queues(snapshots, piped)
        except KeyboardInterrupt:
            return ExitCode.OK  # that is how a watch ends
    found = verb.queues(Path.cwd(), pattern, everything, context)
    show_queues(found, piped, everything)
    return next((failure.exit_code for failure in found.failures.values()), ExitCode.OK)
