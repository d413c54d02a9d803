"""Options that several commands have: a name, a meaning and a help text each.

What one command alone has, or shows in a panel of its own, stands with that command.
"""

from __future__ import annotations

from typing import Annotated

import typer

Context = Annotated[str | None, typer.Option(metavar="CONTEXT", help="Whose brokers to use.")]
Broker = Annotated[str, typer.Option(metavar="sync|async", help="Which broker, when both have the queue.")]
Offline = Annotated[bool, typer.Option("--offline", help="Only what the source says; ask no worker.")]

Where = Annotated[str, typer.Option(metavar="EXPRESSION", help="A Python expression on each message.")]
Full = Annotated[bool, typer.Option("--full", help="Properties, headers with types, undecoded bodies.")]
SpendByLook = Annotated[
    bool, typer.Option("--spend-delivery", help="Also where a look uses up one of a message's deliveries.")
]

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, in a context that would.")]
# Of the commands that ask wherever they are: many messages are at stake.
YesAnywhere = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

JsonLines = Annotated[bool, typer.Option("--json", help="JSON Lines; the default when piped.")]
JsonList = Annotated[bool, typer.Option("--json", help="A JSON list; the default when piped.")]
JsonObject = Annotated[bool, typer.Option("--json", help="A JSON object; the default when piped.")]
