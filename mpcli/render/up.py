"""One stream for a whole platform: its own news, and what each process writes, behind the process's name."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from mpcli.render.console import print_line, wants_colour
from mpcli.render.escape import escape_line
from mpcli.runner.events import (
    Event,
    LeftoversEnded,
    Log,
    NothingRuns,
    PlatformReady,
    PortMoved,
    ProcessDied,
    ProcessReady,
    ProcessStarted,
    ProcessStopped,
    Stopped,
    Stopping,
    TopologyDeclared,
    Warned,
    as_dict,
)
from mpcli.words import iso, rounded

# Terminal colours for the processes' names, in the order of their first line: no red, which means trouble.
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_OWN = "mp"
_WIDTH = 14


def show_events(events: Iterable[Event], as_json: bool) -> None:
    """Print events while they happen: JSON Lines for a program, one coloured stream for a person."""
    show = _json_line if as_json else Stream(wants_colour(sys.stdout.isatty())).show
    for event in events:
        show(event)


def _json_line(event: Event) -> None:
    import json

    print_line(json.dumps({"at": iso(time.time()), **rounded(as_dict(event))}))


class Stream:
    """Formats events for a person."""

    def __init__(self, coloured: bool) -> None:
        self._coloured = coloured
        self._colours: dict[str, int] = {}
        self._width = _WIDTH

    def show(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, Log):
            self._print(event.process, escape_line(event.line.expandtabs()))
            return
        for line in describe(event):
            self._print(_OWN, escape_line(line), 31 if isinstance(event, ProcessDied) else 1)

    def _print(self, name: str, text: str, style: int = 0) -> None:
        self._width = max(self._width, len(name))
        head = f"{escape_line(name):<{self._width}} | "
        if self._coloured:
            colour = 1 if name == _OWN else self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            head = f"\x1b[{colour}m{head}\x1b[0m"
            text = f"\x1b[{style}m{text}\x1b[0m" if style else text
        print_line(head + text)


def describe(event: Event) -> list[str]:
    """An event in words."""
    return _WORDS[type(event)](event)


def _started(event: ProcessStarted) -> list[str]:
    return [f"{event.process} started (pid {event.pid})"]


def _process_ready(event: ProcessReady) -> list[str]:
    return [f"{event.process} is ready after {event.seconds:.1f} s"]


def _declared(event: TopologyDeclared) -> list[str]:
    return [f"exchanges and queues of {', '.join(event.services)} are there"]


def _moved(event: PortMoved) -> list[str]:
    owner = f" by {event.owner}" if event.owner else ""
    return [f"port {event.wanted} is taken{owner}: the {event.mode} broker listens on {event.port} instead"]


def _died(event: ProcessDied) -> list[str]:
    last = [f"    {line}" for line in event.last_lines]
    return [f"{event.process} (pid {event.pid}) ended by itself: {event.how}", *last]


def _stopping(event: Stopping) -> list[str]:
    return [f"stopping: {event.reason}"]


def _process_stopped(event: ProcessStopped) -> list[str]:
    return [f"{event.process} {'had to be killed' if event.killed else 'stopped'} after {event.seconds:.1f} s"]


def _stopped(event: Stopped) -> list[str]:
    return [f"all is stopped, after {event.seconds:.1f} s"]


def _leftovers(event: LeftoversEnded) -> list[str]:
    return [f"ended what an earlier run had left: {', '.join(event.processes)}"]


def _nothing(event: NothingRuns) -> list[str]:
    return [f"nothing runs in {event.platform}"]


def _warned(event: Warned) -> list[str]:
    return [event.text]


def _ready(event: PlatformReady) -> list[str]:
    what = f"{', '.join(event.services) or 'no services'} on {event.broker}"
    lines = [
        f"ready in {event.seconds:.1f} s ({what}; brokers {event.brokers:.1f} s, workers {event.workers:.1f} s)",
        *(f"{mode:<5} {url}" for mode, url in event.urls.items()),
    ]
    if event.detached:
        lines.append(f"in the background (pid {event.supervisor}), logs in .mp/logs; `mp down` stops it")
    else:
        lines.append("Ctrl-C stops it")
    return lines


_WORDS: dict[type[Event], Callable[..., list[str]]] = {
    LeftoversEnded: _leftovers,
    NothingRuns: _nothing,
    PlatformReady: _ready,
    PortMoved: _moved,
    ProcessDied: _died,
    ProcessReady: _process_ready,
    ProcessStarted: _started,
    ProcessStopped: _process_stopped,
    Stopped: _stopped,
    Stopping: _stopping,
    TopologyDeclared: _declared,
    Warned: _warned,
}
