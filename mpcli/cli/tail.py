"""`mp tail`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context, Full, JsonLines

_WHICH, _RECORDING = "Which messages, and how long", "A recording"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail")(tail)


def tail(
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN", help="Services, modes, tasks; with * and ?.")
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="EXPRESSION", help="A Python expression on each message.", rich_help_panel=_WHICH)
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many messages.", rich_help_panel=_WHICH)
    ] = None,
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="End after this time: 30s, 5m, 1h.", rich_help_panel=_WHICH)
    ] = "",
    full: Full = False,
    as_json: JsonLines = False,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append everything to a recording.", rich_help_panel=_RECORDING)
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only record, show no messages.", rich_help_panel=_RECORDING)
    ] = False,
    bound: Annotated[int, typer.Option(min=1, metavar="N", help="Messages that may wait at the broker.")] = 50_000,
    context: Context = None,
) -> int:
    """Watch the messages of this platform live, with what became of them. Takes none from any worker.

    --where sees task, args, kwargs, id, root, retries, eta, broker, headers and more. With --record and a pipe, nothing
    is decoded or shown unless --json says so.

    Example: mp tail mplogin --where 'kwargs["amount"] > 100' --for 5m
    """
    from contextlib import closing

    from mpcli.cli.moments import parse_duration
    from mpcli.errors import ExitCode
    from mpcli.render.console import stdout_is_terminal
    from mpcli.render.tail import show_tail
    from mpcli.verbs import tail as verb

    piped = not stdout_is_terminal()
    show = not quiet and not (record is not None and piped and not as_json and not full)
    events = verb.tail(
        Path.cwd(),
        patterns or [],
        where=where,
        limit=limit,
        seconds=parse_duration(for_) if for_ else None,
        record=record,
        show=show,
        bound=bound,
        context=context,
    )
    with closing(events):
        return ExitCode.OK if show_tail(events, as_json or piped, full) else ExitCode.INTERRUPTED
