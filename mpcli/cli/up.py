"""`mp up`, `mp down`, `mp ps`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import JsonLines, JsonObject

_Port = Annotated[int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Its port on 127.0.0.1.")]


def register(app: typer.Typer) -> None:
    """Add the three commands."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("ps")(ps)


def up(
    broker: Annotated[str, typer.Option(metavar="KIND", help="auto, embedded or rabbitmq; default: mp.toml.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready.")] = False,
    sync_port: _Port = None,
    async_port: _Port = None,
    owner: Annotated[int | None, typer.Option(metavar="PID", help="Stop when this process has ended.")] = None,
    as_json: JsonLines = False,
) -> None:
    """Start two brokers and a worker for every app of this platform, and show their logs.

    Ctrl-C stops all in order, a second one kills. With -d it runs on in the background.

    Example: mp up -d
    """
    from contextlib import closing

    from mpcli.render.console import wants_json
    from mpcli.render.up import show_events
    from mpcli.verbs import up as verb

    events = verb.up(Path.cwd(), broker=broker, sync_port=sync_port, async_port=async_port, detach=detach, owner=owner)
    with closing(events):  # when stdout goes away, what was started must not stay
        show_events(events, wants_json(as_json))


def down(
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="After this, kill what still runs.")] = 45.0,
    as_json: JsonLines = False,
) -> None:
    """Stop this platform, also one that runs in another terminal: workers first, then brokers.

    Example: mp down
    """
    from mpcli.render.console import wants_json
    from mpcli.render.up import show_events
    from mpcli.verbs import down as verb

    show_events(verb.down(Path.cwd(), timeout), wants_json(as_json))


def ps(as_json: JsonObject = False) -> None:
    """Show brokers and workers of this platform: pid, state, uptime, memory, URL.

    Example: mp ps
    """
    from mpcli.render.console import wants_json
    from mpcli.render.ps import show_status
    from mpcli.verbs import ps as verb

    show_status(verb.ps(Path.cwd()), wants_json(as_json))
