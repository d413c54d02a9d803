"""The lines below the prompt: the signature of the call that is being typed, and how things are."""

from __future__ import annotations

from mpcli.bus.naming import Mode
from mpcli.platform.contexts import CONFIRM, FREE
from mpcli.render.escape import escape_line
from mpcli.shell.candidates import Around, callee
from mpcli.shell.cursor import place
from mpcli.shell.signature import Fragments, signature_line
from mpcli.shell.watch import BAD, GOOD, Watch
from mpcli.shell.world import World
from mpcli.words import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.platform.contexts import Context

# A mark that also tells without colour.
_MARKS = {GOOD: ("class:good", "●"), BAD: ("class:bad", "✗")}
_UNKNOWN = ("class:unknown", "·")
_COLOURS = {"white": "ansigray", **{name: f"ansi{name}" for name in ("black", "red", "green", "yellow", "blue")}}
_COLOURS |= {"magenta": "ansimagenta", "cyan": "ansicyan"}


def colour_of(context: Context) -> str:
    """The style of the context's name: the colour that its owner gave it, else one that says how careful to be."""
    if context.colour in _COLOURS:
        return f"fg:{_COLOURS[context.colour]} bold"
    return "class:context" if context.safety == FREE else "class:context.careful"


def prompt(context: Context, width: int) -> Fragments:
    """What stands in front of the line."""
    name = escape_line(context.name)
    if len(name) > width // 4:
        name = f"{name[: max(width // 4 - 1, 1)]}…"
    careful = "" if context.safety == FREE or width < 60 else f"({context.safety})"
    return [(colour_of(context), f"{name}{careful}"), ("class:prompt", "> ")]


def help_line(text: str, world: World, around: Around, width: int) -> Fragments:
    """The signature of the innermost call that the end of `text` is in; nothing outside of any."""
    if text.lstrip().startswith("/"):
        return []
    call = place(text).call
    task = callee(call, world, around) if call else None
    if call is None or task is None:
        return []
    shown = signature_line(task, task.parameter_at(call.position, call.keyword), width)
    return [(style, escape_line(words)) for style, words in shown]


def status_line(context: Context, watch: Watch, latency: float | None, width: int, keys: bool = True) -> Fragments:
    """Context, both brokers, workers, the last call's time; on a narrow terminal the less important goes first."""
    parts: list[Fragments] = [[(colour_of(context), escape_line(context.name))]]
    if context.safety != FREE:
        parts[0].append(("class:careful", " asks first" if context.safety == CONFIRM else f" {context.safety}"))
    parts.append(_brokers(watch, narrow=width < 50))
    count = watch.workers
    parts.append([("", counted(count, "worker"))])
    if latency is not None:
        parts.append([("", _time(latency))])
    if keys:
        parts.append([("class:keys", "F1 doc  F2 form")])
    while len(parts) > 2 and _width(parts) > width:
        parts.pop()
    line: Fragments = [("", " ")]
    for index, part in enumerate(parts):
        line += [("class:bar", " │ "), *part] if index else part
    return line


def _brokers(watch: Watch, narrow: bool) -> Fragments:
    shown: Fragments = []
    for mode in Mode:
        style, mark = _MARKS.get(watch.health[mode], _UNKNOWN)
        name = str(mode)[0] if narrow else str(mode)
        shown += [("", f"{' ' if shown else ''}{name} "), (style, mark)]
    return shown


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _width(parts: list[Fragments]) -> int:
    return sum(len(text) for part in parts for _, text in part) + 3 * (len(parts) - 1) + 1
