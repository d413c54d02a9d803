"""`mp broker run` and `mp worker`: the parts of `mp up`, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context, Yes


def register(app: typer.Typer) -> None:
    """Add the group `broker` and the command `worker`."""
    group = typer.Typer(
        help="Run an embedded broker by itself.\n\nExample: mp broker run --port 5681",
        rich_markup_mode=None,
    )
    group.callback()(_broker)
    group.command("run")(broker_run)
    app.add_typer(group, name="broker")
    app.command("worker")(worker)


def _broker() -> None:
    """Run an embedded broker by itself."""


def broker_run(
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 for a free one.")] = 0,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where durable queues are kept.")] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    user: Annotated[str, typer.Option(metavar="NAME", help="Who may log in.")] = "guest",
    memory: Annotated[
        int | None, typer.Option(min=1, metavar="MIB", help="In messages; above it publishers are blocked.")
    ] = None,
) -> None:
    """Run one embedded broker in the foreground. Without --data nothing survives its end.

    The password is MP_BROKER_PASSWORD, else guest; other addresses than loopback require one that is not.

    Example: mp broker run --port 5681 --data /tmp/broker
    """
    import sys

    from mpcli.verbs import broker as verb

    def ready(address: str) -> None:
        sys.stdout.write(f"ready on {address}\n")
        sys.stdout.flush()

    def note(text: str) -> None:
        sys.stderr.write(f"mp: {text}\n")

    verb.run_broker(port, data, host, user, memory, ready, note)


def worker(
    name: Annotated[str, typer.Argument(metavar="SERVICE.MODE", help="Which app, such as mplogin.sync.")],
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, metavar="N", help="Pool processes.")] = 2,
    context: Context = None,
    yes: Yes = False,
) -> None:
    """Run one worker in the foreground; its brokers are found as `mp call` finds them.

    Start as many as you like: the workers of a queue share it.

    Example: mp worker mplogin.sync
    """
    import os

    from mpcli.render.asking import asker
    from mpcli.verbs import worker as verb

    spec = verb.worker(Path.cwd(), name, concurrency, context=context, yes=yes, ask=asker())
    os.chdir(spec.cwd)
    os.execve(spec.argv[0], list(spec.argv), spec.env)  # noqa: S606 - the worker takes our place: its signals, its exit code
