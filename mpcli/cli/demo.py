"""`mp demo`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Take the tour: scaffold two services, start them, call tasks, watch them, break one, replay it.

    Everything happens in a temporary folder, with the embedded broker on free ports, and nothing is left behind.

    Example: mp demo
    """
    from contextlib import closing

    from mpcli.render.demo import show_demo
    from mpcli.verbs import demo as verb

    with closing(verb.demo()) as events:  # stopped and removed before the last word is said
        show_demo(events)
