"""The completion menu: candidates, as prompt_toolkit takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples

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
            yield _Row(one, len(text), is_wide)


class _Row(Completion):
    """One candidate. prompt_toolkit measures every row of the menu several times at each key, those out of sight too:
    each of its two texts is made once."""

    def __init__(self, candidate: Candidate, cursor: int, has_about: bool) -> None:
        self._candidate = candidate if has_about else None
        self._shown = escape_line(candidate.shown)
        super().__init__(candidate.text, start_position=candidate.start - cursor, display=self._shown)

    @property
    def display_text(self) -> str:
        """The name."""
        return self._shown

    @cached_property
    def display_meta_text(self) -> str:
        """What stands beside it."""
        return escape_line(self._candidate.about)[:_ABOUT] if self._candidate else ""

    @property
    def display_meta(self) -> StyleAndTextTuples:
        """The same, as it is drawn."""
        return [("", self.display_meta_text)]
