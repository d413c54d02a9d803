"""A replay in words: its plan, its counts, how one task ended; for people, and as JSON."""

from __future__ import annotations

from mpcli.render.escape import escape_line
from mpcli.render.message import Parameters, duration, message_as_dict, outcome_as_dict
from mpcli.render.secrets import masked, masked_text
from mpcli.verbs.replay import Ended, Plan, Planned, Summary
from mpcli.verbs.replay.comparing import VERDICTS
from mpcli.words import counted, rounded

# Lines for people; JSON has all.
MOST = 20
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


def plan_lines(plan: Plan) -> list[str]:
    """The plan for people."""
    before = f" ({plan.before} of them sent before)" if plan.before else ""
    lines = [f"{escape_line(plan.source)} -> {escape_line(plan.context)}: {counted(plan.selected, 'message')}{before}"]
    lines += _most([(escape_line(task), count) for task, count in plan.tasks.most_common()])
    for (broker, exchange), count in sorted(plan.places.items()):
        lines.append(f"  to {broker}, {_exchange(exchange)}: {counted(count, 'message')}")
    lines += [f"  {_CHANGES[change]}: {count}" for change, count in plan.changes.most_common()]
    if plan.unchanged:
        lines.append(f"  copied byte for byte: {plan.unchanged}")
    lines += [f"  {escape_line(note)}: {count}" for note, count in plan.notes.most_common(MOST)]
    lines += [f"  not sent, {escape_line(reason)}: {count}" for reason, count in plan.skips.most_common(MOST)]
    return [*lines, *(f"  ! {escape_line(warning)}" for warning in plan.warnings)]


def _most(rows: list[tuple[str, int]]) -> list[str]:
    lines = [f"{count:>8}  {name}" for name, count in rows[:MOST]]
    if len(rows) > MOST:
        lines.append(f"          and {counted(len(rows) - MOST, 'other task')}")
    return lines


def _exchange(name: str) -> str:
    return f"exchange {escape_line(name)}" if name else "the default exchange"


def title(planned: Planned) -> str:
    """The task and its short id."""
    return escape_line(f"{planned.seen.task} {planned.seen.view.id[:8]}")


def summary_line(summary: Summary) -> str:
    """`5 selected = 3 confirmed + 1 returned + 0 refused + 1 skipped + 0 left, in 12 ms`."""
    before = f" ({summary.before} before)" if summary.before else ""
    sent = summary.confirmed - summary.before
    rate = f", {sent / summary.seconds:,.0f}/s" if sent > MOST and summary.seconds > 0 else ""
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
        found.append(
            f"{counted(summary.unknown, 'message')} sent and not confirmed: a resume sends again, with the same new id"
        )
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
    place = {"exchange": done.exchange, "routing_key": done.routing_key}
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
    return {"kind": "summary", **rounded({name: getattr(summary, name) for name in (*sent, *ended)})}
