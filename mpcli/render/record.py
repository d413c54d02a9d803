"""Recordings on the screen and as JSON: shown as `mp tail` shows the same messages live."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mpcli.render.console import print_json, print_line, print_note, wants_colour
from mpcli.render.escape import escape_line
from mpcli.render.json_lines import Json
from mpcli.render.message import Parameters, as_call, dumps, duration, message_as_dict
from mpcli.render.secrets import HIDDEN, is_secret, masked_text
from mpcli.render.tail import People
from mpcli.verbs.record import Difference, Item, Missing, Statistics
from mpcli.verbs.seen import Seen
from mpcli.words import counted, iso


def show_items(items: Iterable[Item], as_json: bool, full: bool, parameters: Parameters) -> int:
    """Print messages, outcomes and what is missing; how many messages there were."""
    screen = Json(full) if as_json else People(full)
    screen.parameters = parameters
    count = 0
    for item in items:
        if isinstance(item, Missing):
            _show_missing(item, as_json)
            continue
        count += isinstance(item, Seen)
        sys.stdout.write(screen.item(item))
    return count


def _show_missing(missing: Missing, as_json: bool) -> None:
    if missing.kind == "damaged":
        print_note(f"mp: {missing.fields['file']}: {missing.fields['damage']}")
    elif as_json:
        line = {"kind": missing.kind, "at": iso(missing.at), "broker": missing.broker, **missing.fields}
        sys.stdout.write(dumps(line) + "\n")
    else:
        words = ", ".join(f"{name} {value}" for name, value in missing.fields.items())
        print_line(escape_line(f"{iso(missing.at)} {missing.broker}  -- {missing.kind}: {words}"))


def show_statistics(found: Statistics, as_json: bool) -> None:
    """The counts of a recording."""
    if as_json:
        print_json(_statistics(found))
        return
    counts = (found.messages, "message"), (found.dead, "dead letter"), (found.events, "event message")
    print_line(", ".join(counted(number, what) for number, what in counts))
    print_line(f"{counted(found.bytes, 'byte')} in bodies, {found.size} in the file")
    if found.first is not None and found.last is not None:
        print_line(f"{iso(found.first)} to {iso(found.last)}, {duration(found.last - found.first)}")
    for (broker, task), count in found.tasks.most_common():
        outcomes = ", ".join(f"{n} {what}" for (name, what), n in sorted(found.outcomes.items()) if name == task)
        print_line(escape_line(f"{count:>8}  {broker:<5}  {task}" + (f"  ({outcomes})" if outcomes else "")))
    if found.dropped:
        print_line(f"{found.dropped} dropped while recording")
    if found.gaps:
        print_line(f"{counted(found.gaps, 'gap')}, {duration(found.gap_seconds)} in all")
    if found.damage:
        print_note(f"mp: {found.damage}")


def _statistics(found: Statistics) -> dict[str, object]:
    return {
        "messages": found.messages,
        "dead": found.dead,
        "events": found.events,
        "body_bytes": found.bytes,
        "file_bytes": found.size,
        "first": None if found.first is None else iso(found.first),
        "last": None if found.last is None else iso(found.last),
        "tasks": [{"broker": broker, "task": task, "count": n} for (broker, task), n in found.tasks.most_common()],
        "outcomes": [{"task": task, "outcome": what, "count": n} for (task, what), n in sorted(found.outcomes.items())],
        "dropped": found.dropped,
        "gaps": found.gaps,
        "gap_seconds": found.gap_seconds,
        "damaged_lines": found.damaged,
        "torn": found.torn,
    }


def show_differences(differences: Iterable[Difference | Missing], as_json: bool, parameters: Parameters) -> int:
    """Print how two recordings differ; in how many messages."""
    colour = wants_colour(sys.stdout.isatty())
    count = 0
    for difference in differences:
        if isinstance(difference, Missing):
            _show_missing(difference, as_json)
            continue
        count += 1
        if as_json:
            sys.stdout.write(dumps(_difference(difference, parameters)) + "\n")
        else:
            _show_difference(difference, parameters, colour)
    return count


def _masked(change: tuple[str, str, str]) -> tuple[str, str, str]:
    name, left, right = change
    if is_secret(name):
        return name, HIDDEN, HIDDEN
    return name, masked_text(left), masked_text(right)


def _difference(difference: Difference, parameters: Parameters) -> dict[str, object]:
    sides = {"left": difference.left, "right": difference.right}
    found: dict[str, object] = {
        name: None if seen is None else message_as_dict(seen, parameters) for name, seen in sides.items()
    }
    changes = [_masked(change) for change in difference.changes]
    found["changes"] = [{"field": name, "left": left, "right": right} for name, left, right in changes]
    return found


def _show_difference(difference: Difference, parameters: Parameters, colour: bool) -> None:
    red, green, off = ("\x1b[31m", "\x1b[32m", "\x1b[0m") if colour else ("", "", "")
    left, right = difference.left, difference.right
    if left is not None and right is not None:
        print_line(f"  {_title(left, parameters)}")
        for name, old, new in map(_masked, difference.changes):
            print_line(f"{red}-     {escape_line(f'{name}: {old}')}{off}")
            print_line(f"{green}+     {escape_line(f'{name}: {new}')}{off}")
    elif left is not None:
        print_line(f"{red}- {_title(left, parameters)}{off}")
    elif right is not None:
        print_line(f"{green}+ {_title(right, parameters)}{off}")


def _title(seen: Seen, parameters: Parameters) -> str:
    return f"{escape_line(seen.view.id)[:8]:<8}  {as_call(seen, parameters)}"
