"""What a purge is going to remove, and what it removed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from mpcli.errors import Interrupted
from mpcli.render.console import print_json, print_line, print_note
from mpcli.render.escape import escape_line
from mpcli.render.message import duration
from mpcli.verbs.purge import PurgeEvent, PurgePlan, PurgeSummary
from mpcli.words import counted


def show_purge(events: Iterable[PurgeEvent], as_json: bool) -> None:
    """The plan on stderr, the result on stdout; also of what was done when it fails. Raises `Interrupted`."""
    plan: PurgePlan | None = None
    try:
        for event in events:
            if isinstance(event, PurgePlan):
                plan = event
                print_note(f"mp: {_plan(event)}")
            else:
                _show(event, as_json)
    except KeyboardInterrupt:
        if plan is None:
            raise
        raise _interrupted(plan.summary) from None
    except BaseException:
        if plan is not None and plan.summary.removed:
            print_note(f"mp: {_summary(plan.summary)}")
        raise


def _plan(plan: PurgePlan) -> str:
    which = "those that match" if plan.chosen else "all"
    where = f"saved to {_near(plan.backup)} before" if plan.backup else "no copy is kept"
    waiting = f"{plan.queue} ({plan.broker}, {plan.type}, context {plan.context}): {plan.ready} waiting"
    return f"{waiting}, {counted(plan.consumers, 'consumer')}. Removing {which}, {where}"


def _show(summary: PurgeSummary, as_json: bool) -> None:
    if as_json:
        names = ("queue", "before", "looked", "removed", "after", "failures")
        print_json({name: getattr(summary, name) for name in names} | {"backup": summary.backup or None})
        return
    print_line(escape_line(_summary(summary)))
    if summary.backup:
        print_line(escape_line(_again(summary)))


def _again(summary: PurgeSummary) -> str:
    # A dead letter goes to where it was before it died, and is run again.
    again = "to run again what is saved" if summary.dead else "undo"
    return f"{again}: mp replay {shlex.quote(_near(summary.backup))} --keep-id"


def _interrupted(summary: PurgeSummary) -> Interrupted:
    """What is gone and what is not."""
    if not summary.removed and not summary.unsure:
        copies = f"; what is in {_near(summary.backup)} is in the queue too" if summary.backup else ""
        return Interrupted(f"interrupted: nothing was removed from {summary.queue}{copies}")
    unsure = f", of {summary.unsure} more it is not known" if summary.unsure else ""
    hint = _again(summary) if summary.backup else ""
    return Interrupted(f"interrupted: {_summary(summary)}{unsure}, the others are in the queue", hint)


def _near(path: str) -> str:
    """The path from here, when it is below."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if relative.startswith(os.pardir) else relative


def _summary(summary: PurgeSummary) -> str:
    words = [f"{summary.removed} removed from {summary.queue}"]
    if summary.after is not None:
        words.append(f"{summary.before} waiting before, {summary.after} now")
    if summary.seconds:
        words.append(f"in {duration(summary.seconds)}")
    if summary.backup:
        words.append(f"saved in {_near(summary.backup)}")
    if summary.failures:
        words.append(f"--where raised on {summary.failures} ({summary.failure}), they were left")
    return ", ".join(words)
