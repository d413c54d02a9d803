"""The plan: what would be sent, where to, and what changes in it, before anything is."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from mpcli.errors import UsageError
from mpcli.verbs.replay.arguments import Arguments, Unreadable
from mpcli.verbs.replay.choice import Choice, Selector
from mpcli.verbs.replay.origin import Place
from mpcli.verbs.replay.policy import Policy
from mpcli.verbs.replay.rewriting import Rewritten, move, rewrite
from mpcli.verbs.replay.sources import Item, Source
from mpcli.verbs.replay.summary import Summary
from mpcli.verbs.seen import Seen
from mpcli.words import counted

# Other arguments for some messages, by number; None leaves a message out.
Edits = dict[int, tuple[list[object], dict[str, object]] | None]
LEFT_OUT = "left out in the editor"
CHILD = "sent by a task that is replayed too (--consequences sends it all the same)"
AGAIN = "a retry or the dead letter of a task that is replayed too (--consequences sends it all the same)"


class Planned:
    """A message that was selected, and what becomes of it; `rewritten.skip` says why it would not be sent."""

    __slots__ = ("number", "rewritten", "seen")

    def __init__(self, item: Item, rewritten: Rewritten) -> None:
        self.number = item.number
        self.seen = item.seen
        self.rewritten = rewritten


class Plan:
    """What is going to happen. Counts, by task, by place (broker, exchange), by change, by note; `warnings` for people.

    Iterate it for the messages, skipped ones too. `context` is where they go. With `dry` nothing more will come; else
    `summary` counts on from when the sending begins, so that a replay that is interrupted has one too.
    """

    def __init__(self, job: Callable[[], Iterator[Planned]], source: str, context: str) -> None:
        self.source = source
        self.context = context
        self.dry = False
        self.summary: Summary | None = None
        self.before = 0
        self.selected = 0
        self.tasks: Counter[str] = Counter()
        self.places: Counter[tuple[str, str]] = Counter()
        self.changes: Counter[str] = Counter()
        self.unchanged = 0
        self.notes: Counter[str] = Counter()
        self.skips: Counter[str] = Counter()
        self.warnings: list[str] = []
        # Of each task in the source: whoever shows arguments must know which are secret.
        self.parameters: dict[str, list[str]] = {}
        self._job = job

    def __iter__(self) -> Iterator[Planned]:
        return self._job()

    def count(self, planned: Planned) -> None:
        """Add one message to the counts."""
        done = planned.rewritten
        self.selected += 1
        self.tasks[done.task or planned.seen.task] += 1
        if done.skip:
            self.skips[done.skip] += 1
            return
        self.places[planned.seen.broker, done.exchange] += 1
        for change in done.changes:  # Counter.update is slow for one or two
            self.changes[change] += 1
        self.unchanged += not done.changes
        for note in done.notes:
            self.notes[note] += 1

    @property
    def to_send(self) -> int:
        """How many of the selected are not skipped."""
        return self.selected - sum(self.skips.values())


class Job:
    """The selected messages of a source, rewritten; the same ones each time it is iterated."""

    def __init__(self, source: Source, choice: Choice, policy: Policy, edits: Edits) -> None:
        self.selector = Selector(choice)
        self._source = source
        self._choice = choice
        self._policy = policy
        self._edits = edits
        self._assignments = choice.assignments()
        self._kept: list[Planned] | None = None

    def __call__(self) -> Iterator[Planned]:
        """All of them, in order."""
        return iter(self._kept) if self._kept is not None else self._finished()

    def plan(self, context: str) -> Plan:
        """Go through all once. Raises `UsageError` when an edit does not fit a message."""
        plan = Plan(self, self._source.name, context)
        with _growing():
            self._fill(plan)
        return plan

    def _fill(self, plan: Plan) -> None:
        # First all ids, then what follows from them: a child may stand before its parent, where there are two brokers.
        first = list(self._made()) if self._source.in_memory else None
        for planned in first if first is not None else self._made():
            if not planned.rewritten.skip and planned.rewritten.old_id:
                self._policy.renewed.add(planned.rewritten.old_id)
        relations = _Relations(self._policy.renewed, self._keeps_consequences)
        for planned in first if first is not None else self._made():
            self._finish(planned, relations)
            plan.count(planned)
        self._kept = first
        plan.warnings += [damage] if (damage := self._source.damage) else []
        plan.warnings += relations.warnings()
        if (where := self.selector.where) is not None and where.failures:
            plan.warnings.append(f"--where raised on {counted(where.failures, 'message')} ({where.failure}), left out")

    @property
    def _keeps_consequences(self) -> bool:
        """What is in a queue is there to be taken out; of a recording only the causes are sent."""
        return self._choice.consequences or bool(self._source.queue)

    def _finished(self) -> Iterator[Planned]:
        relations = _Relations(self._policy.renewed, self._keeps_consequences)
        for planned in self._made():
            self._finish(planned, relations)
            yield planned

    def _finish(self, planned: Planned, relations: _Relations) -> None:
        if self._kept is None and relations.are_sent_too(planned):
            planned.rewritten = self._rewrite(Item(planned.number, planned.seen))  # now that all ids are known
        relations.add(planned)

    def _made(self) -> Iterator[Planned]:
        self.selector = Selector(self._choice)
        for item in self._source:
            if self.selector.full:
                return
            if self.selector(item.seen):
                yield Planned(item, self._rewrite(item))

    def _rewrite(self, item: Item) -> Rewritten:
        edited = None
        if self._assignments or item.number in self._edits:
            edit = self._edits.get(item.number, ([], {}))
            if edit is None:
                return Rewritten(item.seen.message, item.seen.view.id, skip=LEFT_OUT)
            edited = self._edited(item.seen, edit if item.number in self._edits else None)
        return rewrite(item.seen, self._policy, self._source.queue, edited)

    def _edited(self, seen: Seen, edit: tuple[list[object], dict[str, object]] | None) -> Arguments | None:
        arguments = Arguments(seen.view)
        try:
            changes = [arguments.assign(change) for change in self._assignments]
            if edit is not None:
                changes.append(arguments.replace(*edit))
        except Unreadable as error:
            raise UsageError(
                f"{seen.task} {seen.view.id[:8]}: {error}", "narrow the selection with --task, --id or --where"
            ) from error
        return arguments if any(changes) else None


@contextmanager
def _growing() -> Iterator[None]:
    """Do not look for garbage in what only grows: through a hundred thousand messages, again and again, that would be
    half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor later
        if enabled:
            gc.enable()


class MoveJob(Job):
    """As `Job`, for messages that only go to another place; `users` are the logins by broker."""

    def __init__(self, source: Source, choice: Choice, place: Place, users: Mapping[str, str]) -> None:
        super().__init__(source, choice, Policy(users=users), {})
        self._place = place
        self._users = users

    def _rewrite(self, item: Item) -> Rewritten:
        # An exchange is given the key that the message came with.
        message, place = item.seen.message, self._place
        to = place if not place.exchange else Place(place.exchange, message.routing_key)
        return move(message, to, self._users.get(item.seen.broker, ""))


class _Relations:
    """Who of the messages is whose: what a task sent when it ran, it sends again when it is replayed."""

    def __init__(self, renewed: set[str], keep: bool) -> None:
        self._renewed = renewed
        self._keep = keep
        self._met: set[str] = set()
        self._children = 0
        self._again = 0

    def are_sent_too(self, planned: Planned) -> bool:
        """Whether its parent or root is among the messages."""
        return not self._renewed.isdisjoint(planned.rewritten.relatives)

    def add(self, planned: Planned) -> None:
        """Count what is a consequence of another message, or skip it."""
        done = planned.rewritten
        if done.skip or not done.old_id:
            return
        again, child = done.old_id in self._met, self.are_sent_too(planned)
        self._met.add(done.old_id)
        if not self._keep and (again or child):
            done.skip = AGAIN if again else CHILD
            return
        self._again += again
        self._children += child

    def warnings(self) -> list[str]:
        """What will run twice."""
        found = []
        if self._children:
            children = counted(self._children, "message")
            found.append(
                f"{children} sent by tasks that are replayed too, which will send them once more: "
                "--where 'parent is None' leaves them out"
            )
        if self._again:
            again = counted(self._again, "message")
            found.append(f"{again} with the id of another one: retries, or the same task twice")
        return found
