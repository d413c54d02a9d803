"""The plan of a replay, its progress, what could not be sent, and a summary that adds up."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from mpcli.errors import ExitCode
from mpcli.render.console import print_line, print_note, wants_colour
from mpcli.render.escape import escape_line
from mpcli.render.message import Parameters, dumps, outcome_text
from mpcli.render.replay_lines import (
    MOST,
    ended_as_dict,
    notes,
    outcome_lines,
    plan_as_dict,
    plan_lines,
    planned_as_dict,
    summary_as_dict,
    summary_line,
    title,
)
from mpcli.runner.interrupt import Interrupt
from mpcli.verbs.replay import Ended, NotSent, Plan, Replayed, Sent, Summary
from mpcli.verbs.replay.comparing import SAME, WORSE
from mpcli.wire import aside


def show_replay(events: Generator[Replayed, None, None], as_json: bool, again: str) -> int:
    """Print until the end, and return the exit code. `again` is the command that would resume it."""
    screen = _Json() if as_json else _People()
    summary: Summary | None = None
    plan: Plan | None = None
    with Interrupt() as interrupt:
        try:
            for event in events:
                if isinstance(event, Plan):
                    plan = event
                    screen.plan(event)
                else:
                    interrupt.arm()
                    summary = event if isinstance(event, Summary) else None
                    screen.take(event)
                if interrupt.asked and summary is None:
                    events.close()
                    break
        finally:
            screen.end()
            if summary is None and plan is not None and plan.summary is not None and plan.summary.began:
                screen.summary(plan.summary, again)
    if summary is None:
        return int(ExitCode.OK if plan is not None and plan.dry else ExitCode.INTERRUPTED)
    screen.summary(summary, again)
    return exit_code(summary)


def exit_code(summary: Summary) -> int:
    """0 when all that was selected and not skipped is where it should be."""
    if summary.refused:
        return int(ExitCode.BROKER)
    if summary.returned:
        return int(ExitCode.NOT_FOUND)
    if any(summary.compared.get(verdict) for verdict in WORSE):
        return int(ExitCode.DIFFERENT)
    if summary.silent:
        return int(ExitCode.NO_REPLY)
    failed = summary.failed and not summary.compared  # compared, a failure was one before
    return int(ExitCode.TASK_RAISED if failed else ExitCode.OK)


class _People:
    """Lines on stdout, a bar on stderr where that is a terminal."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._bar: Any = None
        self._task: Any = None
        self._troubles: Counter[str] = Counter()
        self._shown: Counter[str] = Counter()
        self._colour = wants_colour(sys.stdout.isatty())

    def plan(self, plan: Plan) -> None:
        """What is going to happen."""
        self._plan = plan
        for line in plan_lines(plan):
            print_line(line)
        if plan.dry:
            print_line("dry run: nothing was sent")

    def take(self, event: Replayed) -> None:
        """Show what happened."""
        if isinstance(event, NotSent):
            self._troubles[event.what] += 1
            if self._troubles[event.what] <= MOST:
                self._print(f"{event.what}: {title(event.planned)}: {escape_line(event.reason)}")
        elif isinstance(event, Ended):
            self._ended(event)
        elif isinstance(event, Sent) or event is None:
            self._progress()

    def _ended(self, ended: Ended) -> None:
        """The first of each kind."""
        outcome = ended.outcome
        kind = ended.verdict or ("silent" if outcome is None else outcome.what)
        self._shown[kind] += 1
        if self._shown[kind] > MOST:
            return
        verdict = f"{ended.verdict}: " if ended.verdict else ""
        text = "nothing was heard of it in time" if outcome is None else outcome_text(outcome)
        self._print(f"{verdict}{title(ended.planned)} {text}")
        if ended.verdict not in ("", SAME) and ended.recorded is not None:
            self._print(f"    recorded: {outcome_text(ended.recorded)}")

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.stop()
        print_line(line)
        if self._bar is not None:
            aside.start(self._bar)

    def _progress(self) -> None:
        plan = self._plan
        if plan is None or plan.summary is None or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = _bar()
            self._task = self._bar.add_task("sending", total=plan.selected)
            aside.start(self._bar)
        self._bar.update(self._task, completed=plan.summary.selected - plan.summary.left)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(Exception):  # a terminal that went away
                self._bar.stop()
        for what, count in (self._troubles + self._shown).items():
            if count > MOST:
                print_line(f"{what}: and {count - MOST} more")

    def summary(self, summary: Summary, again: str) -> None:
        """The counts, and how to go on."""
        for line in (summary_line(summary), *outcome_lines(summary)):
            print_line(line)
        for note in notes(summary, again):
            print_note(f"mp: {note}")


def _bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    from mpcli.render.console import rich_console

    columns = (BarColumn(bar_width=None), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=rich_console(stderr=True), transient=True)


class _Json:
    """JSON Lines; `kind` tells them apart."""

    def __init__(self) -> None:
        self._parameters: Parameters = {}

    def plan(self, plan: Plan) -> None:
        """The plan, and in a dry run each message."""
        self._parameters = plan.parameters
        _write(plan_as_dict(plan))
        if plan.dry:
            for planned in plan:
                _write(planned_as_dict(planned, plan.parameters))

    def take(self, event: Replayed) -> None:
        """What was not sent."""
        if isinstance(event, NotSent):
            line = planned_as_dict(event.planned, self._parameters)
            _write({**line, "kind": "not_sent", "what": event.what, "reason": event.reason})
        elif isinstance(event, Ended):
            _write(ended_as_dict(event))

    def end(self) -> None:
        """Nothing."""

    def summary(self, summary: Summary, again: str) -> None:
        """The counts; how to go on is for people, on stderr."""
        _write(summary_as_dict(summary))
        for note in notes(summary, again):
            print_note(f"mp: {note}")


def _write(line: dict[str, object]) -> None:
    sys.stdout.write(dumps(line) + "\n")
    sys.stdout.flush()
