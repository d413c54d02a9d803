"""Dead letters: groups in a few lines each, which fit any terminal, and one letter whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from time import time

from mpcli.render.console import print_json, print_line, print_note, wants_colour
from mpcli.render.escape import escape_line
from mpcli.render.message import as_call, block, details, dumps, marks, message_as_dict
from mpcli.render.peek import cost_text, summary_text
from mpcli.render.ps import duration
from mpcli.render.secrets import masked_text
from mpcli.verbs.causes import Cause
from mpcli.verbs.dead import DeadEvent, DeadGroup, DeadLetter, DeadList, Death
from mpcli.verbs.peek import Cost, PeekSummary
from mpcli.words import counted, iso

# The broker's words (https://www.rabbitmq.com/docs/dlx) and what they mean in a platform of Celery tasks.
_MEANINGS = {
    "rejected": "a worker rejected it: the task failed, or no worker knows it",
    "delivery_limit": "it was given back too often: its workers died",
    "expired": "it expired before a worker took it",
    "maxlen": "its queue was full",
}
Parameters = dict[str, list[str]]


def show_dead(events: Iterable[DeadEvent], as_json: bool, full: bool = False) -> None:
    """Groups or letters on stdout, what the look cost on stderr."""
    parameters: Parameters = {}
    cost: Cost | None = None
    for event in events:
        if isinstance(event, Cost):
            cost, parameters = event, event.parameters
            print_note(f"mp: {cost_text(event)}")
        elif isinstance(event, PeekSummary):
            if event.died or event.left is not None:
                print_note(f"mp: {summary_text(event, cost)}")
        elif isinstance(event, DeadList):
            _show_list(event, as_json)
        elif as_json:
            sys.stdout.write(dumps(_letter(event, parameters)) + "\n")
        else:
            print_line("\n".join(_lines(event, parameters, full)))


def _show_list(found: DeadList, as_json: bool) -> None:
    if as_json:
        print_json([_group(group) for group in found.groups])
    for group in () if as_json else found.groups:
        print_line("\n".join(_group_lines(group)))
    for queue, (ready, looked) in found.queues.items():
        if looked < ready:
            print_note(f"mp: {queue}: looked at the first {looked} of {ready}; --limit looks at more")
    if not found.groups:
        print_note(f"mp: no dead letters in {', '.join(found.queues) or 'any queue: no service ever ran here'}")
    elif not as_json:
        group = found.groups[0]
        short = escape_line(group.newest.seen.view.id)[:8]
        print_note(f"mp: `mp dead show {short}` shows one, `mp replay {group.queue}` sends them again")


def _group(group: DeadGroup) -> dict[str, object]:
    oldest, newest = group.times
    cause = group.newest.cause
    return {
        "queue": group.queue,
        "task": group.task,
        "reason": group.reason,
        "error": masked_text(cause.text) if cause else None,
        "count": len(group.letters),
        "oldest": None if oldest is None else iso(oldest),
        "newest": None if newest is None else iso(newest),
        "ids": [letter.seen.view.id for letter in group.letters],
    }


def _group_lines(group: DeadGroup) -> list[str]:
    colour = wants_colour(sys.stdout.isatty())
    bold, red, dim, off = ("\x1b[1m", "\x1b[31m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "", "")
    count, reason = len(group.letters), group.reason or "unknown reason"
    lines = [f"{bold}{escape_line(group.task)}{off}  {red}{count} {escape_line(reason)}{off}"]
    if cause := group.newest.cause:
        lines.append(f"    {escape_line(_cut(masked_text(cause.text)))}")
    when = _when(group.times)
    lines.append(f"{dim}    {when}newest {escape_line(group.newest.seen.view.id)[:8]}{off}")
    return lines


def _when(times: tuple[float | None, float | None]) -> str:
    oldest, newest = times
    if oldest is None or newest is None:
        return ""
    first, last = (f"{duration(max(time() - at, 0.0))} ago" for at in (oldest, newest))
    return f"{first}, " if first == last else f"{first} to {last}, "


def _cut(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _letter(letter: DeadLetter, parameters: Parameters) -> dict[str, object]:
    cause = letter.cause
    return {
        **message_as_dict(letter.seen, parameters, full=True),
        "queue": letter.queue,
        "deaths": [_death(death) for death in letter.deaths],
        "error": masked_text(cause.text) if cause else None,
        "traceback": masked_text(cause.traceback) if cause else None,
        "error_from": cause.source if cause else None,
    }


def _death(death: Death) -> dict[str, object]:
    at = None if death.at is None else iso(death.at)
    found = {"at": at, "queue": death.queue, "reason": death.reason, "count": death.count}
    return found | {"exchange": death.exchange, "routing_keys": death.routing_keys}


def _lines(letter: DeadLetter, parameters: Parameters, full: bool) -> list[str]:
    colour = wants_colour(sys.stdout.isatty())
    bold, off = ("\x1b[1m", "\x1b[0m") if colour else ("", "")
    seen, view = letter.seen, letter.seen.view
    lines = [f"{bold}{as_call(seen, parameters, 20_000)}{off}", f"    id        {escape_line(view.id)}"]
    fields = {name: view.field(name) for name in ("root_id", "parent_id", "origin", "eta", "expires")}
    known = {name: value for name, value in fields.items() if value not in (None, "", view.id)}
    lines += [f"    {name:<9} {escape_line(str(value))}" for name, value in known.items()]
    lines.append(f"    in        {escape_line(letter.queue)}: {escape_line(marks(seen))}")
    lines += [f"    {line}" for line in _history(letter)]
    lines += _why(letter.cause)
    lines += [f"    {line}" for line in details(seen)] if full else []
    lines.append(f"again: mp replay {escape_line(letter.queue)} --id {escape_line(view.id)}")
    return lines


def _history(letter: DeadLetter) -> list[str]:
    lines = []
    for death in letter.deaths:
        at = "" if death.at is None else f"{iso(death.at)[:19]}Z, {duration(max(time() - death.at, 0.0))} ago: "
        times = "" if death.count == 1 else f" {counted(death.count, 'time')}"
        meaning = _MEANINGS.get(death.reason, "")
        line = f"died      {at}{death.reason}{times} in {death.queue}" + (f" ({meaning})" if meaning else "")
        lines.append(escape_line(line))
    return lines or ["died      nobody knows when: it has no x-death"]


def _why(cause: Cause | None) -> list[str]:
    if cause is None:
        return [
            "    why       its worker's words are not known here: not in .mp/logs, nor in a recording (--events FILE)"
        ]
    lines = [
        f"    why       {escape_line(masked_text(cause.text))}",
        f"              (from {escape_line(cause.source)})",
    ]
    return lines + ([block(cause.traceback)] if cause.traceback else [])
