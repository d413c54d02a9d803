"""`mp replay` and `mp move`: check what was asked for, open what is named, run it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.platform.contexts import Ask, resolve
from mpcli.verbs.replay.choice import Choice
from mpcli.verbs.replay.editing import edit_all
from mpcli.verbs.replay.journal import Journal, unfinished
from mpcli.verbs.replay.opening import closing, is_recording, journal_path, kept, open_queue, open_source
from mpcli.verbs.replay.run import Move, Replayed, Run, Way


def replay(
    start: Path,
    name: str,
    choice: Choice,
    way: Way,
    *,
    context: str | None = None,
    to: str | None = None,
    broker: str = "",
    dry_run: bool = False,
    resume: bool = False,
    spend: bool = False,
    yes: bool = False,
    ask: Ask | None = None,
    edit: Callable[[str], str] | None = None,
) -> Generator[Replayed, None, None]:
    """Send the messages of a recording or a queue again, those that `choice` means, to `to` or else to `context`.

    First comes the `Plan`; when the iterator is asked for more the user is asked where that is due (`ask`, `yes`) and
    everything is sent; the last event is the `Summary`. None comes while there is nothing to tell. `edit` lets a person
    change a text. `spend` lets messages of a queue that are not sent lose one of its limited deliveries, as a look
    does. Raises `MpError` before anything was sent for whatever is wrong with the arguments.
    """
    choice.check()
    way.check()
    if resume and (choice != Choice() or edit):
        raise UsageError(
            "--resume goes on with what the replay began with", "leave out the options that select and change"
        )
    around = resolve(start, context)
    target = resolve(start, to) if to else around
    if way.compare and not is_recording(name):
        raise UsageError("--compare needs the outcomes of a recording", f"{name} is a queue: --wait tells outcomes")
    with ExitStack() as stack:
        path = journal_path(around, name)
        journal = _journal(path, resume, dry_run, stack)
        all_leave = choice == Choice() and not dry_run and edit is None
        source = open_source(around, name, broker, _expected(journal), spend or all_leave)
        stack.enter_context(closing(source))
        run = Run(start, source, around, target, choice, way, path)
        if journal is not None:
            run.take_up(journal)
        if edit is not None:
            with kept(source):
                run.edits = edit_all(run.job()(), edit, ask)
        yield from run.run(stack, dry_run, yes, ask)


def move(
    start: Path,
    queue: str,
    target: str,
    choice: Choice,
    way: Way,
    *,
    context: str | None = None,
    broker: str = "",
    dry_run: bool = False,
    resume: bool = False,
    spend: bool = False,
    yes: bool = False,
    ask: Ask | None = None,
) -> Generator[Replayed, None, None]:
    """Move the messages of a queue that `choice` means to the queue or exchange `target` of the same broker, unchanged.

    Yields and raises as `replay` does; an exchange gets each message with the key that it had.
    """
    choice.check()
    way.check()
    if queue == target:
        raise UsageError(f"{queue} is where they are", "name another queue or an exchange")
    around = resolve(start, context)
    with ExitStack() as stack:
        path = journal_path(around, queue)
        journal = _journal(path, resume, dry_run, stack)
        source = open_queue(around, queue, broker, _expected(journal), spend or (choice == Choice() and not dry_run))
        stack.enter_context(closing(source))
        run = Move(start, source, around, choice, way, path, target)
        if journal is not None:
            run.take_up(journal)
        yield from run.run(stack, dry_run, yes, ask)


def _journal(path: Path, resume: bool, dry_run: bool, stack: ExitStack) -> Journal | None:
    """The one to resume from. Raises `UsageError` where there is none, or one that should be resumed."""
    if resume:
        journal = Journal.resume(path)
        stack.callback(journal.close)
        return journal
    if path.exists() and not dry_run:
        raise unfinished(path)
    return None


def _expected(journal: Journal | None) -> int:
    """How many messages a queue should still hold."""
    return int(str(journal.header.get("selected", 0))) - len(journal.confirmed) if journal else 0
