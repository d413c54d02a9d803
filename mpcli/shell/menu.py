"""The completion menu: candidates, as prompt_toolkit takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from mpcli.render.escape import escape_line
from mpcli.shell.candidates import Around, Candidate, candidates
from mpcli.shell.world import World

_WIDE = 60  # columns; on fewer the names are all that fits
_ABOUT = 160  # columns; no terminal shows more beside a menu


class Menu(Completer):
    """Asks for the world and the session's state at each keystroke: both are replaced behind its back."""

    def __init__(self, world: Callable[[], World], around: Callable[[], Around], width: Callable[[], int]) -> None:
        self._world = world
        self._around = around
        self._width = width

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What can stand at the cursor."""
        text = document.text_before_cursor
        asked = complete_event.completion_requested
        found = candidates(text, self._world(), self._around(), asked=asked, after=document.text_after_cursor)
        is_wide = self._width() >= _WIDE
        for one in found:
            yield Completion(
                one.text,
                start_position=one.start - len(text),
                display=escape_line(one.shown),
                display_meta=_About(one) if is_wide else None,
            )


class _About:
    """What stands beside a candidate, made once and only when it is drawn."""

    __slots__ = ("_candidate", "_text")

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._text: str | None = None

    def __call__(self) -> str:
        if self._text is None:
            self._text = escape_line(self._candidate.about)[:_ABOUT]
        return self._text
