"""The line that shows what a call takes, with the parameter marked that is being typed."""

from __future__ import annotations

from mpcli.catalog.signature import words
from mpcli.shell.world import Parameter, Task

# Style and text, as prompt_toolkit has them.
Fragments = list[tuple[str, str]]
_PLAIN, _CURRENT = "class:signature", "class:signature.current"
_MORE = "…"


def signature_line(task: Task, current: Parameter | None, width: int) -> Fragments:
    """The signature in at most `width` columns. What does not fit is left out around the current parameter."""
    if task.parameters is None:
        return [(_PLAIN, f"{task.name}(...)  nobody here knows its parameters"[:width])]
    shown_words = words([one.fields for one in task.parameters])
    places = [index for index, word in enumerate(shown_words) if word not in ("*", "/")]
    marked = next((at for at, one in zip(places, task.parameters, strict=True) if one is current), -1)
    name = task.name
    tail = f") -> {task.returns}" if task.returns else ")"
    if len(name) + 1 + len(", ".join(shown_words)) + len(tail) > width:
        # The last word of the name says which of two tasks it is.
        name, tail = name.rpartition(".")[2], ")"
    first, last = _window(shown_words, max(marked, 0), width - len(name) - len(tail) - 1)
    shown: Fragments = [(_PLAIN, f"{name}(" + (f"{_MORE}, " if first else ""))]
    for index in range(first, last):
        shown.append((_CURRENT if index == marked else _PLAIN, shown_words[index]))
        if index + 1 < last:
            shown.append((_PLAIN, ", "))
    shown.append((_PLAIN, (f", {_MORE}" if last < len(shown_words) else "") + tail))
    return _cut(shown, width)


def _window(parts: list[str], at: int, width: int) -> tuple[int, int]:
    """The range of words around `at` that fits."""
    first, last = 0, len(parts)

    def needs() -> int:
        left_out = (first > 0) + (last < len(parts))
        return sum(map(len, parts[first:last])) + 2 * (last - first - 1) + 3 * left_out

    while last - first > 1 and needs() > width:
        if last - 1 > at:
            last -= 1
        else:
            first += 1
    return first, last


def _cut(fragments: Fragments, width: int) -> Fragments:
    """At most so many columns; the end says that there was more."""
    if sum(len(text) for _, text in fragments) <= width:
        return fragments
    cut: Fragments = []
    left = width - 1
    for style, text in fragments:
        cut.append((style, text[:left]))
        left -= len(text)
        if left <= 0:
            break
    return [*cut, (_PLAIN, _MORE)]
