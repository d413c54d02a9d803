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
from mpcli.render.message import Parameters, dumps, duration, message_as_dict, outcome_as_dict, outcome_text
from mpcli.render.secrets import masked, masked_text
from mpcli.runner.interrupt import Interrupt
from mpcli.verbs.replay import Ended, NotSent, Plan, Planned, Replayed, Sent, Summary
from mpcli.verbs.replay.comparing import SAME, VERDICTS, WORSE

# Lines for people; JSON has all.
_MOST = 20
_CHANGES = {
    "id": "a new id; the first one stays in the header mp_replay_of",
    "steps": "new ids for the tasks that follow them",
    "reply": "no answer to the first caller",
    "expiry": "another expiry",
    "eta": "another eta",
    "deaths": "without the broker's headers on their deaths",
    "copies": "without CC and BCC, which would send copies",
    "user": "without a user_id that is not the login",
    "arguments": "other arguments",
    "route": "back to where they were before",
}


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
            if summary is None and plan is not None and plan.summary is not None:
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
            if self._troubles[event.what] <= _MOST:
                self._print(f"{event.what}: {_title(event.planned)}: {escape_line(event.reason)}")
        elif isinstance(event, Ended):
            self._ended(event)
        elif isinstance(event, Sent) or event is None:
            self._progress()

    def _ended(self, ended: Ended) -> None:
        """The first of each kind."""
        outcome = ended.outcome
        kind = ended.verdict or ("silent" if outcome is None else outcome.what)
        self._shown[kind] += 1
        if self._shown[kind] > _MOST:
            return
        verdict = f"{ended.verdict}: " if ended.verdict else ""
        text = "nothing was heard of it in time" if outcome is None else outcome_text(outcome)
        self._print(f"{verdict}{_title(ended.planned)} {text}")
        if ended.verdict not in ("", SAME) and ended.recorded is not None:
            self._print(f"    recorded: {outcome_text(ended.recorded)}")

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.stop()
        print_line(line)
        if self._bar is not None:
            self._bar.start()

    def _progress(self) -> None:
        plan = self._plan
        if plan is None or plan.summary is None or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = _bar()
            self._task = self._bar.add_task("sending", total=plan.selected)
            self._bar.start()
        self._bar.update(self._task, completed=plan.summary.selected - plan.summary.left)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(Exception):  # a terminal that went away
                self._bar.stop()
        for what, count in (self._troubles + self._shown).items():
            if count > _MOST:
                print_line(f"{what}: and {count - _MOST} more")

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


# -- texts ---------------------------------------------------------------------------------------------------------


def plan_lines(plan: Plan) -> list[str]:
    """The plan for people."""
    before = f" ({plan.before} of them sent before)" if plan.before else ""
    lines = [f"{escape_line(plan.source)} -> {escape_line(plan.context)}: {_count(plan.selected)}{before}"]
    lines += _most([(escape_line(task), count) for task, count in plan.tasks.most_common()])
    for (broker, exchange), count in sorted(plan.places.items()):
        lines.append(f"  to {broker}, {_exchange(exchange)}: {_count(count)}")
    lines += [f"  {_CHANGES[change]}: {count}" for change, count in plan.changes.most_common()]
    if plan.unchanged:
        lines.append(f"  copied byte for byte: {plan.unchanged}")
    lines += [f"  {escape_line(note)}: {count}" for note, count in plan.notes.most_common(_MOST)]
    lines += [f"  not sent, {escape_line(reason)}: {count}" for reason, count in plan.skips.most_common(_MOST)]
    return [*lines, *(f"  ! {escape_line(warning)}" for warning in plan.warnings)]


def _most(rows: list[tuple[str, int]]) -> list[str]:
    lines = [f"{count:>8}  {name}" for name, count in rows[:_MOST]]
    if len(rows) > _MOST:
        lines.append(f"          and {len(rows) - _MOST} other tasks")
    return lines


def _count(number: int) -> str:
    return f"{number} message{'s' if number != 1 else ''}"


def _exchange(name: str) -> str:
    return f"exchange {escape_line(name)}" if name else "the default exchange"


def _title(planned: Planned) -> str:
    return escape_line(f"{planned.seen.task} {planned.seen.view.id[:8]}")


def summary_line(summary: Summary) -> str:
    """`5 selected = 3 confirmed + 1 returned + 0 refused + 1 skipped + 0 left, in 12 ms`."""
    before = f" ({summary.before} before)" if summary.before else ""
    sent = summary.confirmed - summary.before
    rate = f", {sent / summary.seconds:,.0f}/s" if sent > _MOST and summary.seconds > 0 else ""
    return (
        f"{summary.selected} selected = {summary.confirmed} confirmed{before} + {summary.returned} returned + "
        f"{summary.refused} refused + {summary.skipped} skipped + {summary.left} left, "
        f"in {duration(summary.seconds)}{rate}"
    )


def outcome_lines(summary: Summary) -> list[str]:
    """With --wait and --compare: how the tasks ended."""
    lines = []
    if summary.outcomes or summary.silent:
        good = summary.outcomes - summary.failed
        lines.append(f"{good} succeeded, {summary.failed} failed, {summary.silent} of which nothing was heard")
    if summary.compared:
        lines.append("compared: " + ", ".join(f"{n} {name}" for name in VERDICTS if (n := summary.compared.get(name))))
    return lines


def notes(summary: Summary, again: str) -> list[str]:
    """What remains to be done."""
    found = []
    if summary.unknown:
        found.append(f"{summary.unknown} were sent and not confirmed: a resume sends them again, with the same new id")
    if summary.journal and (summary.left or summary.returned or summary.refused):
        found.append(f"what was not sent is where it was; go on with: {again}")
    return found


# -- JSON ----------------------------------------------------------------------------------------------------------


def plan_as_dict(plan: Plan) -> dict[str, object]:
    """The plan's counts."""
    places = [{"broker": broker, "exchange": name, "count": n} for (broker, name), n in sorted(plan.places.items())]
    return {
        "kind": "plan",
        "source": plan.source,
        "context": plan.context,
        "dry_run": plan.dry,
        "selected": plan.selected,
        "to_send": plan.to_send,
        "sent_before": plan.before,
        "tasks": dict(plan.tasks),
        "places": places,
        "changes": dict(plan.changes),
        "unchanged": plan.unchanged,
        "notes": dict(plan.notes),
        "skips": dict(plan.skips),
        "warnings": plan.warnings,
    }


def planned_as_dict(planned: Planned, parameters: Parameters) -> dict[str, object]:
    """One message: where it would go and with what changes."""
    done = planned.rewritten
    shown = message_as_dict(planned.seen, parameters)
    line: dict[str, object] = {"kind": "message", "number": planned.number, "broker": planned.seen.broker}
    line |= {name: shown[name] for name in ("task", "id", "args", "kwargs")}
    if done.skip:
        return {**line, "skip": done.skip}
    place = {"exchange": done.message.exchange, "routing_key": done.message.routing_key}
    return {**line, **place, "new_id": done.id, "changes": done.changes, "notes": [masked_text(n) for n in done.notes]}


def ended_as_dict(ended: Ended) -> dict[str, object]:
    """How one task ended."""
    done = ended.planned.rewritten
    line: dict[str, object] = {"kind": "outcome", "number": ended.planned.number, "task": ended.planned.seen.task}
    line |= {"id": done.old_id, "new_id": done.id, "outcome": None}
    for prefix, outcome in (("", ended.outcome), ("recorded_", ended.recorded)):
        if outcome is not None:
            shown = outcome_as_dict(outcome)
            names = ("outcome", "seconds", "result", "error")
            line |= {f"{prefix}{name}": shown[name] for name in names if name in shown}
    if ended.value is not None:
        line["value"] = masked(ended.value)
    return {**line, "verdict": ended.verdict} if ended.verdict else line


def summary_as_dict(summary: Summary) -> dict[str, object]:
    """The counts."""
    sent = ("selected", "confirmed", "before", "returned", "refused", "skipped", "left", "unknown", "journal")
    ended = ("outcomes", "failed", "silent", "compared", "seconds")
    return {"kind": "summary", **{name: getattr(summary, name) for name in (*sent, *ended)}}
