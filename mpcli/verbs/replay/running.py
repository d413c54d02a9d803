"""`mp replay` and `mp move`: check what was asked for, open what is named, run it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.platform.contexts import Ask, Context, allow_write, resolve
from mpcli.verbs.peek import Cost, ask_leave, may_look
from mpcli.verbs.replay.choice import Choice
from mpcli.verbs.replay.journal import Journal, unfinished
from mpcli.verbs.replay.opening import May, closing, is_recording, journal_path, open_queue, open_source, queue_journal
from mpcli.verbs.replay.run import Move, Replayed, Run, Way
from mpcli.wire.queue_traits import Traits


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
    _check(choice, way, resume, edit is not None)
    around = resolve(start, context)
    target = resolve(start, to) if to else around
    if way.compare and not is_recording(name):
        raise UsageError("--compare needs the outcomes of a recording", f"{name} is a queue: --wait tells outcomes")
    with ExitStack() as stack:
        path = journal_path(around, name)
        journal = _journal(path, resume, dry_run, stack)
        all_leave = choice == Choice() and not dry_run and edit is None
        may = None if all_leave else _may_look(around, dry_run, spend, yes, ask)
        if not dry_run and not is_recording(name):
            _may_begin([around, target], name, yes, ask)
        source = open_source(around, name, broker, _expected(journal), may)
        stack.enter_context(closing(source))
        run = Run(start, source, around, target, choice, way, path)
        if journal is not None:
            run.take_up(journal)
        if edit is not None:
            run.edit(edit, ask)
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
    _check(choice, way, resume)
    if queue == target:
        raise UsageError(f"{queue} is where they are", "name another queue or an exchange")
    around = resolve(start, context)
    with ExitStack() as stack:
        path = queue_journal(around, queue)
        journal = _journal(path, resume, dry_run, stack)
        may = None if choice == Choice() and not dry_run else _may_look(around, dry_run, spend, yes, ask)
        if not dry_run:
            _may_begin([around], queue, yes, ask)
        source = open_queue(around, queue, broker, _expected(journal), may)
        stack.enter_context(closing(source))
        run = Move(start, source, around, choice, way, path, target)
        if journal is not None:
            run.take_up(journal)
        yield from run.run(stack, dry_run, yes, ask)


def _check(choice: Choice, way: Way, resume: bool, edits: bool = False) -> None:
    choice.check()
    way.check()
    if resume and (choice != Choice() or edits):
        raise UsageError("--resume goes on with what was begun", "leave out the options that select and change")


def _may_begin(contexts: list[Context], queue: str, yes: bool, ask: Ask | None) -> None:
    """Taking messages is a change already: what will be refused is refused before. A person is asked with the plan."""
    for context in contexts:
        allow_write(context, f"take messages from {queue}", yes or ask is not None)


def _may_look(around: Context, dry_run: bool, spend: bool, yes: bool, ask: Ask | None) -> May:
    """What a queue is looked into for, when messages go back to it, is allowed as a peek is."""

    def may(cost: Cost, traits: Traits) -> None:
        may_look(cost, traits, spend, saved=False)
        if dry_run:
            ask_leave(around, cost, yes, ask)

    return may


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
