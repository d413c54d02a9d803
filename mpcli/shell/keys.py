"""What the keys do, beyond those of Emacs and vi that prompt_toolkit brings."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Condition, emacs_insert_mode, has_focus, vi_insert_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_OPEN = ("(", ".", "=", "/")
# Where each buffer stood when a completion was taken in it.
_taken: WeakKeyDictionary[Buffer, Document] = WeakKeyDictionary()

Action = Callable[[KeyPressEvent], None]


def bindings(is_complete: Callable[[str], bool], show_doc: Action, fill_form: Action) -> KeyBindings:
    """Enter, Tab, and the function keys. `is_complete` says whether Enter runs a text or adds a line to it."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER) & (emacs_insert_mode | vi_insert_mode)

    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            take(buffer)
        elif _runs(buffer, is_complete):
            buffer.validate_and_handle()
        else:
            _new_line(buffer)

    keys.add("escape", "enter", filter=typing)(lambda event: _new_line(event.current_buffer))
    keys.add("escape", filter=Condition(_menu_is_open) & emacs_insert_mode)(_close_menu)
    keys.add("tab", filter=typing)(_tab)
    keys.add("(", filter=typing)(_bracket)
    keys.add("f1")(show_doc)
    keys.add("f2")(fill_form)
    keys.add("f4")(_change_mode)
    return keys


def _tab(event: KeyPressEvent) -> None:
    """Indent on a line of a block that has nothing on it yet, else go through the menu; an only candidate is taken.

    The menu that opens while one types may not be there yet: then it is made here and now, so that no Tab is lost.
    """
    buffer = event.current_buffer
    if not buffer.complete_state:
        if buffer.document.line_count > 1 and not buffer.document.current_line_before_cursor.strip():
            buffer.insert_text("    ")
            return
        asked = CompleteEvent(completion_requested=True)
        found = list(buffer.completer.get_completions(buffer.document, asked))
        if not found:
            return
        buffer.complete_state = CompletionState(buffer.document, found)
    only = len(buffer.complete_state.completions) == 1
    buffer.complete_next()
    if only:
        take(buffer)


def _bracket(event: KeyPressEvent) -> None:
    """The one that a completion has just brought is not doubled by a hand that types it all the same."""
    buffer = event.current_buffer
    chosen = buffer.complete_state and buffer.complete_state.current_completion
    if (chosen or _taken.get(buffer) == buffer.document) and buffer.document.text_before_cursor.endswith("("):
        take(buffer)
        _taken.pop(buffer, None)
    else:
        buffer.insert_text("(")


def _close_menu(event: KeyPressEvent) -> None:
    event.current_buffer.cancel_completion()


def _change_mode(event: KeyPressEvent) -> None:
    is_vi = event.app.editing_mode == EditingMode.VI
    event.app.editing_mode = EditingMode.EMACS if is_vi else EditingMode.VI


def take(buffer: Buffer) -> None:
    """Take the chosen completion; where it leaves something open, what comes next is offered at once."""
    buffer.complete_state = None
    _taken[buffer] = buffer.document
    if buffer.document.text_before_cursor.endswith(_OPEN):
        buffer.start_completion(select_first=False)


def _menu_is_open() -> bool:
    return get_app().current_buffer.complete_state is not None


def _runs(buffer: Buffer, is_complete: Callable[[str], bool]) -> bool:
    """In a text of several lines Enter in the middle adds one; what stands behind the cursor must be blank."""
    document = buffer.document
    if document.line_count > 1 and document.text_after_cursor.strip():
        return False
    return is_complete(buffer.text)


def _new_line(buffer: Buffer) -> None:
    """A line that begins where the one before did, and deeper behind a colon."""
    line = buffer.document.current_line_before_cursor
    indent = line[: len(line) - len(line.lstrip())]
    if line.rstrip().endswith(":"):
        indent += "    "
    buffer.insert_text("\n" + indent)
