"""The stream of messages: a line each for people, JSON Lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mpcli.render.console import end_interrupted_line, print_note, wants_colour
from mpcli.render.escape import escape_line
from mpcli.render.json_lines import Json
from mpcli.render.message import (
    Parameters,
    as_call,
    block,
    clock,
    details,
    duration,
    marks,
    outcome_text,
)
from mpcli.verbs.seen import Outcome, Seen
from mpcli.verbs.tail import Batch, Started, Summary, TailEvent
from mpcli.wire.tap_events import Dropped, Exchange, Gap, Lost
from mpcli.words import counted

_BLIND = (
    "A tap sees what is published to the services' exchanges; not replies, nor what is sent to a queue by its name. "
    "Outcomes are shown when workers send events (celery worker -E)"
)
_COLOURS = {"succeeded": "32", "failed": "31;1", "rejected": "31;1", "revoked": "33", "retried": "33"}


def show_tail(events: Iterable[TailEvent], as_json: bool, full: bool) -> bool:
    """Print until there is no more; False when Ctrl-C ended it. A summary on stderr is the last word of both.

    Raises `KeyboardInterrupt` when there is no summary yet.
    """
    screen = Json(full) if as_json else People(full)
    counted: Summary | None = None
    try:
        for event in events:
            if isinstance(event, Started):
                counted = event.summary
            _show(screen, event)
    except KeyboardInterrupt:
        if counted is None:
            raise
        end_interrupted_line()
        print_note(_summary(counted))
        return False
    return True


def _show(screen: Json | People, event: TailEvent) -> None:
    if isinstance(event, Started):
        screen.parameters = event.parameters
        print_note(f"mp: tapping {', '.join(event.services)}; Ctrl-C ends it. {_BLIND}.")
        for name in event.waiting:
            print_note(f"mp: {name} has no exchange yet, waiting for it: nothing ever started the service")
    elif isinstance(event, Summary):
        print_note(_summary(event))
    elif isinstance(event, Batch):
        sys.stdout.write("".join(map(screen.item, event.items)))
        sys.stdout.flush()
    elif not (isinstance(event, Exchange) and _not_a_service(event.name)):
        screen.notice(event)


def _not_a_service(exchange: str) -> bool:
    """The workers' events and the dead letters come and go without a loss of messages."""
    return exchange == "celeryev" or exchange.endswith(".dead")


class People:
    """A line for each message, its outcomes below it with the same short id."""

    def __init__(self, full: bool) -> None:
        self.parameters: Parameters = {}
        self._full = full
        self._colour = wants_colour(sys.stdout.isatty())

    def item(self, item: Seen | Outcome) -> str:
        """The line or lines of a message or an outcome, with their ends."""
        return self._message(item) if isinstance(item, Seen) else self._outcome(item)

    def _message(self, seen: Seen) -> str:
        call = as_call(seen, self.parameters, 20_000 if self._full else 240)
        line = f"{self._head(seen)}  {self._paint(call, '31' if seen.kind == 'dead' else '1')}"
        if extra := marks(seen):
            line += f"  {self._paint(extra, '33')}"
        below = [f"    {self._paint(text, '2')}" for text in details(seen)] if self._full else []
        return "\n".join([line, *below]) + "\n"

    def _outcome(self, outcome: Outcome) -> str:
        head = f"{clock(outcome.at)} {escape_line(outcome.broker):<5}  {self._id(outcome.id)}"
        text = self._paint(outcome_text(outcome), _COLOURS.get(outcome.what, "2"))
        line = f"{head}  {escape_line(outcome.task)} {text}"
        if self._full and outcome.traceback:
            line += "\n" + block(outcome.traceback.rstrip())
        return line + "\n"

    def _head(self, seen: Seen) -> str:
        return f"{clock(seen.at)} {escape_line(seen.broker):<5}  {self._id(seen.view.id)}"

    def _id(self, task_id: str) -> str:
        return self._paint(f"{escape_line(task_id)[:8]:<8}", "36")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def notice(self, event: Dropped | Lost | Gap | Exchange) -> None:
        """Tell what is missing from the stream."""
        if isinstance(event, Dropped):
            count = f"{'' if event.exact else 'at least '}{counted(event.count, 'message')}"
            text = f"{count} dropped: this tail was too slow, and its bound keeps the broker safe"
        elif isinstance(event, Lost):
            text = f"{event.reason}; trying again"
        elif isinstance(event, Gap):
            text = f"tapping again; what passed in {duration(event.at - event.since)} was not seen"
        else:
            text = f"exchange {event.name} {'is there now' if event.there else 'is gone; waiting for it'}"
        print_note(f"{clock(event.at)} {event.broker:<5}  {text}")


def _summary(summary: Summary) -> str:
    at_least = "" if summary.exact else "at least "
    told = counted(summary.events, "event message") if summary.events else counted(summary.outcomes, "outcome")
    words = [counted(summary.messages, "message"), told, f"{at_least}{summary.dropped} dropped"]
    if summary.gaps:
        words.append(f"{counted(summary.gaps, 'gap')} of {duration(summary.gap_seconds)} in all")
    if summary.record:
        words.append(f"recorded in {summary.record}")
    if summary.failures:
        words.append(f"--where raised on {summary.failures} ({summary.failure}), they were left out")
    return f"mp: {', '.join(words)}"
