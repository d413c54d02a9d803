"""`mp replay` and `mp move`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Broker, JsonLines, YesAnywhere

_WHICH, _CHANGED, _HOW, _OUTCOMES = "Which messages", "What is changed", "How they are sent", "What comes of them"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_Context = Annotated[str | None, typer.Option(metavar="CONTEXT", help="Whose queue it is; the target too.")]
_List = list[str] | None
_Where = Annotated[
    str | None, typer.Option(metavar="EXPRESSION", help="A Python expression on each message.", rich_help_panel=_WHICH)
]
_Tasks = Annotated[_List, typer.Option(metavar="TASK", help="Only these; with * and ?.", rich_help_panel=_WHICH)]
_Ids = Annotated[
    _List, typer.Option("--id", metavar="ID", help="Only these; the first characters do.", rich_help_panel=_WHICH)
]
_Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="The first N of them.", rich_help_panel=_WHICH)]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.", rich_help_panel=_HOW)]
_Rate = Annotated[str, typer.Option(metavar="N/s", help="At most so many: 100/s, 30/m.", rich_help_panel=_HOW)]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier one ended.", rich_help_panel=_HOW)]
_Spend = Annotated[
    bool, typer.Option("--spend-delivery", help="Also where what goes back to a queue loses one of its deliveries.")
]


def register(app: typer.Typer) -> None:
    """Add both."""
    app.command("replay")(replay)
    app.command("move")(move)


def replay(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A recording, or a queue such as mplogin.dead.")],
    where: _Where = None,
    task: _Tasks = None,
    ids: _Ids = None,
    limit: _Limit = None,
    dry_run: _DryRun = False,
    edit: Annotated[
        bool, typer.Option("--edit", help="Change arguments in $EDITOR first.", rich_help_panel=_CHANGED)
    ] = False,
    sets: Annotated[
        _List,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Give an argument a value: kwargs.currency=EUR, or with JSON args.0:=1.",
            rich_help_panel=_CHANGED,
        ),
    ] = None,
    keep_id: Annotated[
        bool, typer.Option("--keep-id", help="Send with the ids of the recording.", rich_help_panel=_CHANGED)
    ] = False,
    expired: Annotated[
        str, typer.Option(metavar="drop|shift|keep", help="What has expired.", rich_help_panel=_CHANGED)
    ] = "drop",
    consequences: Annotated[
        bool,
        typer.Option(
            "--consequences", help="Also what others lead to: retries, dead letters, children.", rich_help_panel=_WHICH
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="CONTEXT", help="Send to the brokers of another context.", rich_help_panel=_HOW),
    ] = None,
    rate: _Rate = "",
    speed: Annotated[
        float | None, typer.Option(metavar="FACTOR", help="As recorded, so many times as fast.", rich_help_panel=_HOW)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the outcomes of the tasks.", rich_help_panel=_OUTCOMES)
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long without any news, when all is sent.", rich_help_panel=_OUTCOMES),
    ] = 30.0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Hold the outcomes against the recorded ones.", rich_help_panel=_OUTCOMES)
    ] = False,
    ignore: Annotated[
        _List, typer.Option(metavar="REGEX", help="Not compared: ids and times in results.", rich_help_panel=_OUTCOMES)
    ] = None,
    resume: _Resume = False,
    spend: _Spend = False,
    broker: Broker = "",
    context: _Context = None,
    yes: YesAnywhere = False,
    as_json: JsonLines = False,
) -> int:
    """Send recorded or dead-lettered messages again: the plan first, each one confirmed, none lost.

    Each gets a new id and no reply goes to the first caller. A dead letter goes to where it was before it died and
    leaves its queue when the broker has confirmed it.

    Exit codes: 3 a task failed (--wait), 4 nothing was heard of one, 5 no queue takes some or none
    was selected, 6 the broker refused some,
    7 not allowed, 8 another outcome than the recorded one (--compare), 130 interrupted.

    Example: mp replay mplogin.dead --task mplogin.async.send_mail --dry-run
    """
    from mpcli.render.asking import asker
    from mpcli.render.console import wants_json
    from mpcli.render.replay import show_replay
    from mpcli.runner.editor import edit as in_editor
    from mpcli.verbs.replay import Choice, Way
    from mpcli.verbs.replay import replay as verb

    _check_broker(broker)
    events = verb(
        Path.cwd(),
        source,
        Choice(where, task or [], ids or [], limit, keep_id, expired, sets or [], consequences),
        Way(parse_rate(rate) if rate else None, speed, timeout if wait or compare else None, compare, ignore or []),
        context=context,
        to=to,
        broker=broker,
        dry_run=dry_run,
        resume=resume,
        spend=spend,
        yes=yes,
        ask=asker(),
        edit=in_editor if edit else None,
    )
    again = _again(["replay", source], to=to, context=context, broker=broker)
    return show_replay(events, wants_json(as_json), again)


def _again(command: list[str], **options: str | None) -> str:
    from shlex import join

    words = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return join(["mp", *command, *words, "--resume"])


def move(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Where the messages are.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A queue or an exchange of the same broker.")],
    where: _Where = None,
    task: _Tasks = None,
    ids: _Ids = None,
    limit: _Limit = None,
    dry_run: _DryRun = False,
    rate: _Rate = "",
    resume: _Resume = False,
    spend: _Spend = False,
    broker: Broker = "",
    context: _Context = None,
    yes: YesAnywhere = False,
    as_json: JsonLines = False,
) -> int:
    """Move the messages of a queue to another queue or exchange, unchanged: confirmed there before they leave here.

    Example: mp move mplogin.dead mplogin.parked --task mplogin.async.send_mail
    """
    from mpcli.render.asking import asker
    from mpcli.render.console import wants_json
    from mpcli.render.replay import show_replay
    from mpcli.verbs.replay import Choice, Way
    from mpcli.verbs.replay import move as verb

    _check_broker(broker)
    events = verb(
        Path.cwd(),
        queue,
        target,
        Choice(where, task or [], ids or [], limit),
        Way(rate=parse_rate(rate) if rate else None),
        context=context,
        broker=broker,
        dry_run=dry_run,
        resume=resume,
        spend=spend,
        yes=yes,
        ask=asker(),
    )
    again = _again(["move", queue, target], context=context, broker=broker)
    return show_replay(events, wants_json(as_json), again)


def _check_broker(text: str) -> None:
    from mpcli.errors import UsageError

    if text not in ("", "sync", "async"):
        raise UsageError(f"--broker {text!r}", "sync or async")


def parse_rate(text: str) -> float:
    """Messages a second in `100/s`, `30/m` or `100`. Raises `UsageError`."""
    from mpcli.errors import UsageError

    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?", text.strip())
    if not match or not float(match[1]):
        raise UsageError(f"{text!r} is not a rate", "for example 100/s or 30/m")
    return float(match[1]) / _UNITS[match[2] or ""]
