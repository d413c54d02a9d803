"""The shell on a terminal: reads a cell with completion, runs it, shows what came of it, until the user leaves.

The first prompt waits for nothing: brokers, workers and sources are looked at by threads (`mpcli.shell.watch`) that
start once it is drawn.
"""

from __future__ import annotations

import gc
import os
import sys
from asyncio import sleep
from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import in_terminal, run_in_terminal
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyPressEvent

from mpcli.platform.files import files
from mpcli.shell import toolbar
from mpcli.shell.candidates import Around
from mpcli.shell.cursor import place
from mpcli.shell.discretion import holds_secret
from mpcli.shell.events import Leave
from mpcli.shell.history import Lines, Suggestions, history_file
from mpcli.shell.keys import bindings
from mpcli.shell.menu import Menu
from mpcli.shell.session import Session
from mpcli.shell.theme import depth, style
from mpcli.shell.typeahead import TypeAhead
from mpcli.shell.usage import Usage
from mpcli.shell.waiting import TerminalFront
from mpcli.shell.watch import Watch

Complete = Callable[[list[str]], list[str]]

_MENU_LINES = 8
# The shell's own commands whose argument is a file; those of `mp` are known to their own completion.
_OF_A_FILE = ("save", "export")


def run(session: Session, complete: Complete | None = None, vi: bool = False) -> int:
    """Read, run and show until the user leaves; return the exit code.

    `complete` gives the candidates for the last word of a command line, as TAB does.
    """
    vi = vi or os.environ.get("MP_SHELL_KEYS") == "vi"
    return Screen(session, complete, EditingMode.VI if vi else EditingMode.EMACS).run()


class Screen:
    """One session at one terminal."""

    def __init__(self, session: Session, complete: Complete | None, mode: EditingMode) -> None:
        self._session = session
        self._complete = complete
        self._notice = ""
        self._watch = Watch(session, self._changed)
        self._type_ahead = TypeAhead()
        session.front = TerminalFront(session, self._type_ahead)
        session.on_switch = self._switched
        self._is_drawn = False
        self._remember()
        self._prompt = self._make_prompt(mode)

    def run(self) -> int:
        """Until Ctrl-D, `/quit` or `exit()`."""
        self._session.interrupts.install()
        code = None
        with self._type_ahead.kept():
            while code is None:
                try:
                    code = self._run_cell(self._prompt.prompt())
                except KeyboardInterrupt:
                    continue  # Ctrl-C at the prompt drops the line
                except EOFError:
                    code = 0
        self._watch.stop()
        return code

    def _run_cell(self, text: str) -> int | None:
        """Run it and show what came of it; the exit code when the session ends."""
        from mpcli.shell.front import shown  # what shows results is not needed for the first prompt

        if not text.strip():
            return None
        if not self._is_secret(text):
            self._usage.note(text)
        try:
            with self._session.interrupts.running():
                with self._type_ahead.usual():
                    events = list(self._session.run(text))
                for event in events:
                    if isinstance(event, Leave):
                        return event.code
                    shown(event, self._session)
        except KeyboardInterrupt:
            sys.stderr.write("\n")  # while something was being shown
        except BrokenPipeError:
            pass  # a pager was left before its end
        return None

    # -- the prompt ------------------------------------------------------------------------------------------------

    def _make_prompt(self, mode: EditingMode) -> PromptSession[str]:
        prompt: PromptSession[str] = PromptSession(
            message=self._message,
            multiline=True,
            completer=Menu(lambda: self._watch.world, self._around, self._width),
            complete_while_typing=True,
            history=self._lines,
            auto_suggest=Suggestions(self._is_secret),
            bottom_toolbar=self._toolbar,
            key_bindings=bindings(self._session.is_complete, self._show_doc, self._fill_form),
            editing_mode=mode,
            enable_open_in_editor=True,
            enable_suspend=True,
            tempfile_suffix=".py",
            search_ignore_case=True,
            prompt_continuation=_continuation,
            style=style(),
            color_depth=depth(),
        )
        prompt.app.before_render += self._fit
        prompt.app.after_render += self._drawn
        # Esc alone, in vi mode above all, is not to be waited for.
        prompt.app.ttimeoutlen, prompt.app.timeoutlen = 0.1, 0.3
        prompt.default_buffer.on_text_changed += self._typed
        return prompt

    def _fit(self, _: object) -> None:
        """Leave room for the menu, as far as the window has it."""
        lines = self._prompt.app.output.get_size().rows
        self._prompt.reserve_space_for_menu = max(min(_MENU_LINES, lines - 4), 0)

    def _drawn(self, _: object) -> None:
        if not self._is_drawn:
            self._is_drawn = True
            gc.enable()  # what starts the shell may have stopped it, for the sake of the first prompt
            gc.freeze()  # what was imported stays: no keystroke waits until it was looked through for garbage
            self._watch.start()

    def _typed(self, _: object) -> None:
        self._notice = ""
        self._watch.typed()

    def _changed(self) -> None:
        """From any thread: there is something new to show."""
        app = self._prompt.app
        if app.is_running:
            app.invalidate()

    def _message(self) -> StyleAndTextTuples:
        return list(toolbar.prompt(self._session.context, self._width()))

    def _toolbar(self) -> StyleAndTextTuples:
        width = self._width()
        before = self._prompt.default_buffer.document.text_before_cursor
        above = toolbar.help_line(before, self._watch.world, self._around(), width - 1)
        if self._notice:
            above = [("class:notice", self._notice[: width - 1])]
        status = toolbar.status_line(self._session.context, self._watch, self._session.latency, width - 1)
        return [("", " "), *above, ("", "\n"), *status] if above else [*status]

    def _width(self) -> int:
        return self._prompt.app.output.get_size().columns

    def _around(self) -> Around:
        session = self._session
        return Around(session.variables, session.arguments, session.results, self._usage.counts, self._commands)

    def _commands(self, words: list[str]) -> list[str]:
        """Candidates for the last word of a `/` line."""
        *before, word = words
        if not before:
            own = self._session.commands.names()
            return [f"{name}\t{about}" for name, about in sorted(own.items()) if name.startswith(word)]
        if before[0] in _OF_A_FILE:
            return files(word)
        if self._complete is None:
            return []
        found = self._complete(words)
        if before == ["context"]:
            return self._complete(["context", "use", word]) + found  # here the name alone is enough
        return found or self._tasks(before, word, self._complete)

    def _tasks(self, before: list[str], word: str, complete: Complete) -> list[str]:
        """Tasks by some of their letters, where the command takes a task."""
        near = self._watch.world.tasks.search(word) if word and not word.startswith("-") else []
        takes_tasks = any(one.partition("\t")[0] == near[0] for one in complete([*before, near[0]])) if near else False
        return near if takes_tasks else []

    # -- keys ------------------------------------------------------------------------------------------------------

    def _show_doc(self, event: KeyPressEvent) -> None:
        """All about the task that is chosen in the menu, under the cursor, or being called."""
        state = event.current_buffer.complete_state
        chosen = state.current_completion.text.rstrip("()") if state and state.current_completion else ""
        here = place(event.current_buffer.document.text_before_cursor)
        names = [chosen, here.word, here.call.name if here.call else ""]
        name = next((name for name in names if name in self._watch.world.tasks), "")
        if not name:
            self._notice = "F1 shows the doc of a task: the cursor is at none"
            return
        run_in_terminal(lambda: self._run_cell(f"{name}?"))

    def _fill_form(self, event: KeyPressEvent) -> None:
        from mpcli.shell.form import form_at

        document = event.current_buffer.document
        form = form_at(document.text, document.cursor_position, self._watch.world)
        if form is None:
            self._notice = "F2 asks for the arguments of a task: type its name first"
        elif not form.fields:
            self._notice = f"{form.task.name} takes nothing more"
        else:
            event.app.create_background_task(self._ask(form, event))

    async def _ask(self, form: object, event: KeyPressEvent) -> None:
        from prompt_toolkit.document import Document

        from mpcli.shell.asking import Left, ask_fields
        from mpcli.shell.form import Form

        assert isinstance(form, Form)
        async with in_terminal():
            # The timer that tells Esc from the beginning of another key is still running for F2: it would take an Esc
            # in the form for the line's own.
            await sleep(2 * event.app.ttimeoutlen)
            try:
                values = await ask_fields(form)
            except Left:
                return
        text, cursor = form.filled(values)
        event.current_buffer.document = Document(text, cursor)

    # -- the context -----------------------------------------------------------------------------------------------

    def _switched(self) -> None:
        """The session works in another context: another world, another history."""
        self._watch.stop()
        self._watch = Watch(self._session, self._changed)
        self._watch.start()
        self._remember()
        self._prompt.history = self._prompt.default_buffer.history = self._lines

    def _remember(self) -> None:
        file = history_file(self._session.context)
        self._usage = Usage(f"{file}.used")
        self._lines = Lines(f"{file}.history", self._is_secret)

    def _is_secret(self, text: str) -> bool:
        return holds_secret(text, self._watch.world)


def _continuation(width: int, _line: int, _wrapped: int) -> StyleAndTextTuples:
    return [("class:prompt", ". ".rjust(width))]
