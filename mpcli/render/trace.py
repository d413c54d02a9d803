"""A trace: a tree for people, one JSON object for programs."""

from __future__ import annotations

from collections import Counter

from mpcli.render.console import print_json, print_note, rich_console
from mpcli.render.escape import escape_line
from mpcli.render.message import Parameters, as_call, duration
from mpcli.render.secrets import masked, masked_args, masked_text
from mpcli.verbs.lineage import Attempt, Step
from mpcli.verbs.trace import Trace
from mpcli.words import counted, iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

_BAD = "bold red"
_COLOURS = {"succeeded": "green", "failed": _BAD, "rejected": _BAD, "revoked": "yellow", "retried": "yellow"}
# A line is cut at the terminal's edge; a chain that is nested deeper than this would leave no room for anything.
_DEEPEST = 12
_CALL = 400


def show_trace(trace: Trace, as_json: bool, parameters: Parameters) -> None:
    """Print it, with what may be missing from it."""
    if as_json:
        print_json(trace_as_dict(trace, parameters))
    else:
        _print_tree(trace, parameters)
    if trace.damage:
        print_note(f"mp: {trace.damage}: a part of it may be missing")
    if trace.dropped or trace.gaps:
        missing = f"{counted(trace.dropped, 'message')} dropped, {counted(trace.gaps, 'gap')}"
        print_note(f"mp: {missing}: a part of it may be missing")


# -- JSON ----------------------------------------------------------------------------------------------------------


def trace_as_dict(trace: Trace, parameters: Parameters) -> dict[str, object]:
    """What `--json` says: tasks as a list in the tree's order, because a chain may be deeper than a parser's stack."""
    return {
        "root_id": trace.root_id,
        "begun": iso(trace.begun) if trace.begun else None,
        "seconds": round(trace.ended - trace.begun, 6),
        "complete": trace.complete,
        "dropped": trace.dropped,
        "gaps": trace.gaps,
        "tasks": [_step(step, trace, parameters) for step in trace.steps],
    }


def _step(step: Step, trace: Trace, parameters: Parameters) -> dict[str, object]:
    view = step.seen.view if step.seen is not None else None
    args, kwargs = (view.args, view.kwargs) if view is not None else (None, None)
    return {
        "id": step.id,
        "parent_id": step.parent_id or None,
        "depth": step.depth,
        "relation": step.relation or None,
        "task": step.task or None,
        "broker": step.broker or None,
        "args": None if args is None else masked_args(args, parameters.get(step.task, ())),
        "kwargs": None if kwargs is None else masked(kwargs),
        "state": state(step),
        "attempts": [_attempt(attempt, trace) for attempt in step.attempts],
        "dead": [iso(at) for at in step.deaths],
    }


def _attempt(attempt: Attempt, trace: Trace) -> dict[str, object]:
    times = {name: getattr(attempt, name) for name in ("sent", "received", "started", "ended")}
    return {
        "retries": attempt.retries,
        "offset": None if attempt.begun is None else round(attempt.begun - trace.begun, 6),
        **{name: None if at is None else iso(at) for name, at in times.items()},
        "waited": None if attempt.waited is None else round(attempt.waited, 6),
        "seconds": None if attempt.ran is None else round(attempt.ran, 6),
        "outcome": attempt.outcome or None,
        "worker": attempt.worker or None,
        "result": None if attempt.result is None else masked_text(attempt.result),
        "error": masked_text(attempt.error) or None,
    }


# -- people --------------------------------------------------------------------------------------------------------


def state(step: Step) -> str:
    """How it stands with a task, in a word or two."""
    if step.planned:
        return "not sent"
    if step.deaths:
        return "dead"
    if not step.attempts:
        return "not seen"
    last = step.attempts[-1]
    return last.outcome or ("running" if last.started is not None else "waiting")


def title(step: Step, parameters: Parameters) -> str:
    """The task and its arguments; the name alone where its message was not seen."""
    if step.seen is not None:
        return as_call(step.seen, parameters, _CALL)
    return escape_line(step.task) or "a task whose message was not seen"


def story(attempt: Attempt, step: Step, trace: Trace) -> str:
    """What matters first, for a narrow terminal: `succeeded in 22 ms, waited 4.3 ms, at +17 ms on sync`."""
    words = [attempt.outcome or ("runs" if attempt.started is not None else "not begun")]
    if attempt.outcome and attempt.ran is not None:
        words[0] += f" in {duration(attempt.ran)}"
    if attempt.waited is not None:
        words.append(f"waited {duration(attempt.waited)}")
    if attempt.retries:
        words.append(f"retry {attempt.retries}")
    if attempt.begun is not None:
        words.append(f"at +{duration(attempt.begun - trace.begun)} on {step.broker}")
    return escape_line(", ".join(words))


def error_of(attempt: Attempt) -> str:
    """What it raised, on one line."""
    return escape_line(masked_text(attempt.error))


def _print_tree(trace: Trace, parameters: Parameters) -> None:
    rich_console().print(_tree(trace, parameters), overflow="ellipsis", no_wrap=True, crop=True)


def _tree(trace: Trace, parameters: Parameters) -> Group:
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    top = Tree(_label(trace.steps[0], trace, parameters), guide_style="dim")
    above = [top]  # the branch that was last made at each depth
    for step in trace.steps[1:]:
        depth = min(step.depth, _DEEPEST)
        branch = above[depth - 1].add(_label(step, trace, parameters))
        above[depth:] = [branch]
    return Group(top, Text(_summary(trace), style="dim", no_wrap=True, overflow="ellipsis"))


class GrowingTree:
    """The tree while it grows, where a terminal can draw over what it showed; the whole one takes its place."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._live: Live | None = None

    def show(self, trace: Trace) -> None:
        """Draw it, over the one before."""
        if self._live is None:
            from rich.live import Live

            console = rich_console()
            self._live = Live(console=console, transient=True, auto_refresh=False)
            self._live.start()
            console.show_cursor(True)  # which it hides, and a process that is killed would never show again
        self._live.update(_tree(trace, self._parameters), refresh=True)

    def close(self) -> None:
        """Take it away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _label(step: Step, trace: Trace, parameters: Parameters) -> Text:
    from rich.text import Text

    bad = bool(step.deaths) or state(step) in ("failed", "rejected")
    label = Text(no_wrap=True, overflow="ellipsis")
    label.append(f"{escape_line(step.id)[:8]} ", "cyan")
    if step.relation:
        label.append(f"{step.relation} ", "magenta")
    label.append(title(step, parameters), _BAD if bad else "dim" if step.planned else "bold")
    for attempt in step.attempts:
        colour = _COLOURS.get(attempt.outcome, "dim")
        label.append(f"\n{story(attempt, step, trace)}", colour)
        label.append(f"\n{error_of(attempt)}" if attempt.error else "", colour)
    for at in step.deaths:
        label.append(f"\ndead letter at +{duration(at - trace.begun)} on {escape_line(step.broker)}", _BAD)
    if step.planned:
        label.append("\nnot sent" if trace.complete else "\nto come", "dim")
    return label


def _summary(trace: Trace) -> str:
    seen = [step for step in trace.steps if step.attempts or step.deaths]
    brokers = len({step.broker for step in seen if step.broker})
    words = [
        f"{len(seen)} {'task' if len(seen) == 1 else 'tasks'} on {brokers} {'broker' if brokers == 1 else 'brokers'}"
    ]
    words.append(duration(trace.ended - trace.begun))
    counts = Counter(map(state, trace.steps))
    words += [f"{count} {name}" for name, count in sorted(counts.items()) if name != "succeeded"]
    return ", ".join(words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
