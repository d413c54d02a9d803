"""Removing messages from a queue, each one saved to a recording first.

Saved, then on the disk, then acknowledged: whatever happens in between, the backup and the queue together hold every
message. Only as many are taken as were counted when the user was asked.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time

from mpcli.errors import MpError, SafetyRefusal, UsageError
from mpcli.platform.contexts import FREE, Ask, Context, allow_write, resolve
from mpcli.platform.layout import load_platform
from mpcli.platform.root import state_folder
from mpcli.recording.format import DEAD, TASK
from mpcli.recording.writer import Writer
from mpcli.runner.interrupt import Interrupt
from mpcli.verbs.peek import Cost, Look, may_look
from mpcli.verbs.queue_place import QueuePlace, held, is_dead, locate, traits_of
from mpcli.verbs.replay.choice import Choice, Selector
from mpcli.verbs.seen import Seen
from mpcli.wire.holding import MOST_AT_ONCE, Holding
from mpcli.wire.message import Message
from mpcli.words import counted

_BATCH = 1000
_FOLDER = "purged"


class PurgePlan:
    """What is going to happen, and, in `summary`, what has happened so far.

    `context` names the context; of `ready` messages in `queue` all are removed, or when `chosen` those that match.
    `backup` is where they are saved before; empty for nowhere.
    """

    __slots__ = ("backup", "broker", "chosen", "consumers", "context", "queue", "ready", "summary", "type")

    def __init__(self, around: Context, cost: Cost, chosen: bool, backup: str) -> None:
        self.context = around.name
        self.queue = cost.queue
        self.broker = cost.broker
        self.type = cost.type
        self.ready = cost.ready
        self.consumers = cost.consumers
        self.chosen = chosen
        self.backup = backup
        self.summary = PurgeSummary(cost.queue, cost.ready)


class PurgeSummary:
    """`removed` are gone from the queue, and in the file `backup` where there is one; `after` wait in it now.

    Of `unsure` it is not known whether they are gone, when it was interrupted in the middle of that.
    """

    __slots__ = (
        "after",
        "backup",
        "before",
        "dead",
        "failure",
        "failures",
        "looked",
        "queue",
        "removed",
        "seconds",
        "unsure",
    )

    def __init__(self, queue: str, before: int) -> None:
        self.queue = queue
        self.dead = is_dead(queue)
        self.before = before
        self.looked = self.removed = self.unsure = self.failures = 0
        self.after: int | None = None
        self.backup = self.failure = ""
        self.seconds = 0.0


PurgeEvent = PurgePlan | PurgeSummary


def purge(
    start: Path,
    queue: str,
    choice: Choice,
    *,
    backup: Path | None = None,
    keep: bool = True,
    spend: bool = False,
    broker: str = "",
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
) -> Generator[PurgeEvent, None, None]:
    """Remove from `queue` what `choice` means, all without one, after saving it to `backup` or to a place of ours.

    First comes the `PurgePlan`; when more is asked for, the user is asked (`ask`, `yes`), and last comes the
    `PurgeSummary`. With `keep` false nothing is saved. Raises `SafetyRefusal`, `UsageError`, `NotFound`, `BrokerError`
    before anything is removed; `MpError` when the backup cannot be written: what was not saved is in the queue then.
    """
    choice.check()
    if backup is not None and not keep:
        raise UsageError("a backup, and none: --backup and --no-backup", "choose one")
    around = resolve(start, context)
    place = locate(around, queue, broker)
    wanted, chosen = Selector(choice), choice.filters or choice.limit is not None
    plan = _plan(around, place, chosen, spend, backup, keep)
    yield plan
    if plan.ready:
        _confirm(around, plan, yes, ask)
        with ExitStack() as stack:
            holding = stack.enter_context(held(around, place, f"mp purge {queue}"))
            removal = _Removal(around, holding, place, plan, stack)
            if chosen:
                removal.remove_some(wanted)
            else:
                removal.remove_all()
            removal.finish()
    if choice.filters and not plan.summary.removed:
        raise wanted.none(queue, "nothing was removed")
    yield plan.summary


def _plan(around: Context, place: QueuePlace, chosen: bool, spend: bool, backup: Path | None, keep: bool) -> PurgePlan:
    with held(around, place, f"mp purge {place.queue}") as holding:
        traits = traits_of(around, place, holding)
        cost = Cost(place, holding, traits, holding.ready)
    if chosen:
        may_look(cost, traits, spend, saved=False)  # what does not match is given back
    file = str(backup or _default_backup(around, place.queue)) if keep else ""
    return PurgePlan(around, cost, chosen, file)


def _default_backup(around: Context, queue: str) -> Path:
    folder = state_folder(around.root)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    named = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in queue[:100])
    return Path(folder) / _FOLDER / f"{around.name}.{named}.{moment}.mprec"


def _confirm(around: Context, plan: PurgePlan, yes: bool, ask: Ask | None) -> None:
    """A purge asks in every context; with nobody to ask it wants to be told by a flag."""
    what = f"purge {'what matches among ' if plan.chosen else ''}{counted(plan.ready, 'message')} of {plan.queue}"
    allow_write(around, what, yes, ask)
    if yes or around.safety != FREE:
        return
    if ask is None:
        raise SafetyRefusal(f"{what}: there is no terminal to ask on", "add --yes; nothing was removed")
    if not ask(f"{what} on the {plan.broker} broker of context {plan.context}?"):
        raise SafetyRefusal(f"not confirmed: {what}", "nothing was removed")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """A backup that cannot be written is the end: what was not saved is not removed."""
    try:
        yield
    except OSError as error:
        raise MpError(
            f"the backup {path} cannot be written: {error.strerror or error}", "what was not saved is in the queue"
        ) from error


class _Removal:
    """Taking messages, saving them, acknowledging them."""

    def __init__(self, around: Context, holding: Holding, place: QueuePlace, plan: PurgePlan, stack: ExitStack) -> None:
        self._around = around
        self._holding = holding
        self._place = place
        self._plan = plan
        self._summary = plan.summary
        self._stack = stack
        # The platform whose runtime folder the backup is for, which may not have been made yet.
        self._runtime = Path(around.root) if around.runtime and plan.backup.startswith(around.runtime) else None
        self._writer: Writer | None = None
        self._began = monotonic()

    def remove_all(self) -> None:
        """Whatever is there, in batches, so that a crash gives back as little as possible."""
        while batch := list(self._holding.take(min(_BATCH, self._left))):
            self._summary.looked += len(batch)
            self._save(batch)
            self._acknowledge(batch)

    def remove_some(self, wanted: Selector) -> None:
        """Those that are wanted; all are taken at once, so that the others keep their places."""
        kind, at = self._kind, time()
        look = Look(self._holding, self._place, traits_of(self._around, self._place, self._holding))
        while self._left:
            found = []
            before = self._holding.taken
            for message in look.messages(min(self._left, MOST_AT_ONCE)):
                self._summary.looked += 1
                if wanted(Seen(kind, str(self._place.broker), at, message)):
                    self._save([message])
                    # Its content is in the file and need not be in memory too.
                    found.append(Message("", "", b"", b"", delivery_tag=message.delivery_tag))
            self._acknowledge(found)
            if self._holding.taken == before:
                break
        if wanted.where is not None:
            self._summary.failures, self._summary.failure = wanted.where.failures, wanted.where.failure

    def finish(self) -> None:
        """Give back the rest, and count."""
        self._holding.release()
        self._summary.seconds = monotonic() - self._began
        self._summary.after = self._holding.count().ready

    @property
    def _kind(self) -> str:
        return DEAD if self._place.dead else TASK

    @property
    def _left(self) -> int:
        """How many of those that the user was told of."""
        return max(min(self._plan.ready, self._holding.ready) - self._holding.taken, 0)

    def _save(self, messages: list[Message]) -> None:
        if self._plan.backup:
            with _told(self._plan.backup):
                self._open().write_messages(self._kind, str(self._place.broker), time(), messages)

    def _open(self) -> Writer:
        if self._writer is None:
            path = Path(self._plan.backup)
            if self._runtime is not None:
                load_platform(self._runtime).make_runtime()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._writer = self._stack.enter_context(Writer(path))
            self._summary.backup = self._plan.backup
        return self._writer

    def _acknowledge(self, messages: list[Message]) -> None:
        if self._writer is not None:
            with _told(self._plan.backup):
                self._writer.sync()
        with Interrupt() as interrupt:
            interrupt.arm()  # what was done is known then; who cannot wait for it asks twice
            self._summary.unsure = len(messages)
            self._holding.ack(messages)
            self._summary.removed += len(messages)
            self._summary.unsure = 0
        if interrupt.asked:
            raise KeyboardInterrupt
