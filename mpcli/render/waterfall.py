"""A trace as a picture: a waterfall in SVG, a row for each task, waiting pale, running in the colour of its outcome.

Written by hand: a drawing library would be a dependency for rectangles and text. The file holds no script and loads
nothing; what came from a message is text with its controls written out, then escaped for XML.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape as xml

from mpcli.errors import UsageError
from mpcli.render.message import Parameters, duration
from mpcli.render.trace import error_of, state, story, title
from mpcli.verbs.lineage import Attempt, Step
from mpcli.verbs.trace import Trace
from mpcli.words import iso

_WIDTH, _LABELS, _RIGHT, _TOP, _ROW, _BAR = 1200, 430, 140, 84, 26, 14
_INDENT, _DEEPEST = 14, 10
_LETTERS = 56  # of a label that begins at the left edge
_COLOURS = {
    "succeeded": "#2e8b57",
    "failed": "#c0392b",
    "rejected": "#c0392b",
    "dead": "#c0392b",
    "revoked": "#8e6bb0",
    "retried": "#d98e04",
    "": "#4a7fb5",
}
_WAIT, _INK, _PALE, _LINE = "#cfd8e3", "#1f2933", "#66727f", "#e4e7eb"
_STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"


def waterfall(trace: Trace, parameters: Parameters) -> str:
    """The whole SVG document."""
    height = _TOP + _ROW * len(trace.steps) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" style="{_STYLE}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(12, 24, f"{title(trace.steps[0], {**parameters})}"[:120], _INK, "font-weight:bold"),
        _text(12, 42, f"{trace.root_id}, {iso(trace.begun)}, {duration(trace.ended - trace.begun)}", _PALE),
        *_axis(trace, height),
    ]
    for row, step in enumerate(trace.steps):
        parts += _step(step, trace, parameters, _TOP + row * _ROW)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(trace: Trace, at: float) -> float:
    span = max(trace.ended - trace.begun, 1e-6)
    return round(_LABELS + (at - trace.begun) / span * (_WIDTH - _LABELS - _RIGHT), 1)


def _axis(trace: Trace, height: int) -> Iterator[str]:
    span = max(trace.ended - trace.begun, 1e-6)
    for tick in range(5):
        at = trace.begun + span * tick / 4
        x = _x(trace, at)
        yield f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 12}" stroke="{_LINE}"/>'
        yield _text(x, _TOP - 12, f"+{duration(span * tick / 4)}", _PALE, "text-anchor:middle")


def _step(step: Step, trace: Trace, parameters: Parameters, y: int) -> Iterator[str]:
    depth = min(step.depth, _DEEPEST)
    label = " ".join(
        filter(None, (step.relation, title(step, parameters), "" if step.attempts else f"({state(step)})"))
    )
    room = _LETTERS - 2 * depth
    shown = label if len(label) <= room else f"{label[: room - 3]}..."
    stories = "\n".join(f"{story(one, step, trace)} {error_of(one)}" for one in step.attempts) or state(step)
    yield f"<g><title>{_safe(label)}\n{_safe(step.broker)} {_safe(step.id)}\n{_safe(stories, lines=True)}</title>"
    yield _text(12 + depth * _INDENT, y + _BAR, shown, _PALE if not step.attempts else _INK)
    for attempt in step.attempts:
        yield from _bars(attempt, trace, y)
    for at in step.deaths:
        x = _x(trace, at)
        yield f'<path d="M{x - 5} {y + 4}l10 10m0 -10l-10 10" stroke="{_COLOURS["dead"]}" stroke-width="2.5"/>'
    end = step.ended
    if end is not None:
        last = step.attempts[-1] if step.attempts else None
        run = duration(last.ran) if last is not None and last.ran is not None else state(step)
        yield _text(_x(trace, end) + (14 if step.deaths else 8), y + _BAR, f"{run} {step.broker}", _PALE)
    yield "</g>"


def _bars(attempt: Attempt, trace: Trace, y: int) -> Iterator[str]:
    since = attempt.sent if attempt.sent is not None else attempt.received
    until = attempt.ended if attempt.ended is not None else trace.ended
    begun = attempt.started if attempt.started is not None else until
    if since is not None:
        yield _rect(_x(trace, since), y + 7, _x(trace, begun), _BAR - 6, _WAIT)
    if attempt.started is not None:
        colour = _COLOURS.get(attempt.outcome, _COLOURS[""])
        yield _rect(_x(trace, begun), y + 3, _x(trace, until), _BAR, colour)


def _rect(left: float, top: float, right: float, height: int, colour: str) -> str:
    width = max(round(right - left, 1), 1.5)
    return f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="2" fill="{colour}"/>'


def _text(x: float, y: float, text: str, colour: str, style: str = "") -> str:
    more = f' style="{style}"' if style else ""
    return f'<text x="{x}" y="{y}" fill="{colour}"{more} xml:space="preserve">{_safe(text)}</text>'


def _safe(text: str, lines: bool = False) -> str:
    from mpcli.render.escape import escape, escape_line

    return xml((escape if lines else escape_line)(text))


def check_picture(path: Path) -> None:
    """Raises `UsageError` without a folder to put it in, or for something that is no picture, which would be lost."""
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "nothing was written; choose another file")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        return
    if start not in (b"", b"<svg"):
        raise UsageError(f"{path} exists and is no SVG picture", "nothing was written; choose another file")


def write_picture(path: Path, trace: Trace, parameters: Parameters) -> None:
    """Write it, with mode 0600: it holds arguments. Raises `OSError`."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(waterfall(trace, parameters))
