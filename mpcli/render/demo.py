"""The tour on a terminal: each command as it would be typed, its own output, and the answer last."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable

from mpcli.render.console import print_json, print_line, wants_colour
from mpcli.verbs.demo import ANSWER, Event, StepStarted, StepTold


def show_demo(events: Iterable[Event]) -> None:
    """Print the tour while it happens."""
    bold, dim, off = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if wants_colour(sys.stdout.isatty()) else ("", "", "")
    answer: object = None
    for event in events:
        if isinstance(event, StepStarted):
            beside = " &" if event.step.beside else ""
            print_line(f"\n{dim}# {event.step.why}{off}\n{bold}$ mp {_typed(event.step.argv)}{beside}{off}")
        elif isinstance(event, StepTold):
            print_line(event.text)
        elif event.step is ANSWER:
            answer = event.result
            print_json(answer)
    print_line(f"\nEvery process was stopped and the folder removed. {ANSWER.argv[1]} had answered:")
    print_json(answer)


def _typed(argv: tuple[str, ...]) -> str:
    """As a person types it: quotes only around the part of an item that needs them."""
    words = []
    for word in argv:
        name, operator, value = word.partition(":=")
        words.append(f"{name}:={shlex.quote(value)}" if operator else shlex.quote(word))
    return " ".join(words)
