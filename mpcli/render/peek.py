"""A look into a queue: what it costs, the messages as `mp tail` shows them, the counts afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mpcli.render.console import print_note
from mpcli.render.json_lines import Json
from mpcli.render.message import duration
from mpcli.render.tail import People
from mpcli.verbs.peek import Cost, Peeked, PeekEvent, PeekSummary
from mpcli.words import counted


def show_peek(events: Iterable[PeekEvent], as_json: bool, full: bool) -> None:
    """Messages on stdout, everything about the look on stderr."""
    screen = Json(full) if as_json else People(full)
    cost: Cost | None = None
    for event in events:
        if isinstance(event, Cost):
            cost = event
            screen.parameters = event.parameters
            print_note(f"mp: {cost_text(event)}")
        elif isinstance(event, Peeked):
            sys.stdout.write("".join(map(screen.item, event.items)))
            sys.stdout.flush()
        else:
            print_note(f"mp: {summary_text(event, cost)}")


def cost_text(cost: Cost) -> str:
    """What waits there, and what the look is going to cost."""
    waiting = f"{cost.queue} ({cost.broker}, {cost.type}): {cost.ready} waiting, {counted(cost.consumers, 'consumer')}"
    if not cost.take:
        return f"{waiting}; what workers hold cannot be looked at"
    price = ["hidden from workers for a moment", "marked as redelivered"]
    if cost.type == "quorum":
        price.append("their delivery count raised by 1" + (f" of {limit}" if (limit := cost.delivery_limit) else ""))
    return f"{waiting}. Looking at {cost.take}: {', '.join(price)}"


def summary_text(summary: PeekSummary, cost: Cost | None) -> str:
    """What was shown, what was put back, how many wait now."""
    words = [f"{summary.shown} shown"]
    if summary.held:
        words.append(f"{summary.held} put back after {duration(summary.seconds)}")
    words.append(f"{summary.before} waiting before, {summary.after} now")
    if summary.died:
        to = cost.dead_letters_to if cost is not None else None
        became = f"became dead letters of {to}" if to is not None else "were dropped by the broker"
        words.append(f"{summary.died} had no delivery left and {became}")
    if summary.left is not None:
        words.append(f"the first to go has {counted(summary.left, 'delivery', 'deliveries')} left")
    if summary.saved:
        words.append(f"saved in {summary.saved}")
    if summary.failures:
        words.append(f"--where raised on {summary.failures} ({summary.failure}), they were left out")
    return ", ".join(words)
