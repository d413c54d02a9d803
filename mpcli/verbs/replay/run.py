"""One replay or move: what belongs together from the plan to the summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time

from mpcli.bus.naming import Mode
from mpcli.errors import MpError, SafetyRefusal, UsageError
from mpcli.platform.contexts import Ask, Context, allow_write
from mpcli.verbs.parameters import parameter_names
from mpcli.verbs.replay.choice import Choice
from mpcli.verbs.replay.comparing import Comparison
from mpcli.verbs.replay.editing import edit_all
from mpcli.verbs.replay.journal import Journal, numbered
from mpcli.verbs.replay.opening import find_target, kept
from mpcli.verbs.replay.planning import Edits, Job, MoveJob, Plan
from mpcli.verbs.replay.policy import Policy
from mpcli.verbs.replay.sending import Line, NotSent, Pace, Sending, Sent, open_lines
from mpcli.verbs.replay.sources import Recording, Waiting
from mpcli.verbs.replay.summary import Summary
from mpcli.verbs.replay.waiting import REPLY_TO, Ended, Waiter
from mpcli.wire.url import parse_urls
from mpcli.words import counted

# More messages than this are asked about, where there is somebody to ask.
HANDFUL = 10

Replayed = Plan | Sent | NotSent | Ended | Summary | None


@dataclass(frozen=True)
class Way:
    """How to send: `rate` in messages a second, `speed` as a factor of the recorded one, both None for all at once.

    `wait` is how many seconds to wait for the next outcome when all is sent, None not to wait; `compare` holds outcomes
    against the recorded ones, without what the regular expressions `ignore` match.
    """

    rate: float | None = None
    speed: float | None = None
    wait: float | None = None
    compare: bool = False
    ignore: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises `UsageError`."""
        Comparison(self.ignore)
        for name, value in (("--rate", self.rate), ("--speed", self.speed), ("--timeout", self.wait)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} {value:g}", "a number above 0")


class Run:
    """One replay: what belongs together from the plan to the summary."""

    def __init__(
        self,
        start: Path,
        source: Recording | Waiting,
        around: Context,
        target: Context,
        choice: Choice,
        way: Way,
        path: Path,
    ) -> None:
        self.path = path
        self._start = start
        self.edits: Edits = {}
        self._source = source
        self._around = around
        self._target = target
        self._choice = choice
        self._way = way
        self._salt = os.urandom(8).hex()
        self._now = time()
        self._journal: Journal | None = None
        # Where a move goes; a replay goes to where each message was.
        self._destination = ""

    def take_up(self, journal: Journal) -> None:
        """Go on with what the journal says. Raises `UsageError` when it belongs to something else."""
        self._journal = journal
        header = journal.header
        mine = (self._source.fingerprint, self._addresses(), self._destination)
        if (header.get("fingerprint"), header.get("target"), header.get("destination")) != mine:
            raise UsageError(
                f"{self.path} belongs to something else: another source, target or broker",
                f"it was {header.get('source')} to {header.get('destination') or header.get('target')}",
            )
        self._choice = Choice(**header["choice"])  # type: ignore[arg-type]
        self._salt, self._now = str(header["salt"]), float(str(header["now"]))
        self.edits = {int(number): edit for number, edit in header["edits"].items()}  # type: ignore[attr-defined]
        if isinstance(self._source, Waiting):
            taken = {int(number): one for number, one in header["taken"].items()}  # type: ignore[attr-defined]
            found = list(self._source.identities().values())
            self._source.renumber(numbered(taken, journal.confirmed, found))
        else:
            self._source.bound = int(str(header["last_line"]))

    def edit(self, edit: Callable[[str], str], ask: Ask | None) -> None:
        """Let a person change the arguments. Raises `UsageError` when what comes of it cannot be used."""
        with kept(self._source):
            self.edits = edit_all(self.job()(), edit, ask)
        self._bind()

    def _bind(self) -> None:
        """A recording may be read again, and have grown: what nobody was shown is not sent."""
        if isinstance(self._source, Recording) and self._source.bound is None:
            self._source.bound = self._source.last_line

    def _check_mark(self) -> None:
        """The journal names messages by their lines. Raises `UsageError` when those are others by now."""
        known = self._journal.header.get("mark") if self._journal else None
        if isinstance(self._source, Recording) and known not in (None, self._source.mark()):
            raise UsageError(
                f"{self._source.name} was changed since {self.path} was begun: nobody can say which of it were sent",
                "bring back the lines that it had, or delete the journal to send everything anew",
            )

    def job(self) -> Job:
        """The selected messages, as they would be sent."""
        policy = Policy(
            keep_id=self._choice.keep_id,
            expired=self._choice.expired,
            salt=self._salt,
            now=self._now,
            users=self._users(),
            reply_to=REPLY_TO if self._way.wait is not None else "",
            patience=self._way.wait or 0.0,
        )
        return Job(self._source, self._choice, policy, self.edits)

    def _users(self) -> dict[str, str]:
        found = {mode: self._target.find(mode) for mode in Mode}
        return {str(mode): parse_urls(one.url)[0].user for mode, one in found.items() if one is not None}

    def _addresses(self) -> str:
        found = {mode: self._target.find(mode) for mode in Mode}
        return ", ".join(f"{mode} {parse_urls(one.url)[0].address}" for mode, one in found.items() if one is not None)

    def run(self, stack: ExitStack, dry: bool, yes: bool, ask: Ask | None) -> Iterator[Replayed]:
        """Plan, ask, send, tell; what is opened for it is closed by `stack`."""
        job = self.job()
        plan = job.plan(self._target.name)
        self._bind()
        self._check_mark()
        if self._choice.filters and not plan.selected and self._journal is None:
            raise job.selector.none(self._source.name, "nothing was sent", bool(self._source.queue))
        plan.dry = dry
        plan.parameters = parameter_names(self._start)
        plan.before = len(self._journal.confirmed) if self._journal else 0
        if isinstance(self._source, Waiting) and self._source.more:
            plan.warnings.append(f"the queue holds {self._source.more} more: at most this many at once; run again")
        yield plan
        if dry:
            return
        before = self._journal.confirmed if self._journal else set()
        count = plan.to_send - sum(planned.number in before for planned in (plan if before else ()))
        with kept(self._source):
            self._may(count, yes, ask)
        yield from self._send(stack, plan, job)

    def _may(self, count: int, yes: bool, ask: Ask | None) -> None:
        """Raises `SafetyRefusal` unless it may be done."""
        what = self._deed(counted(count, "message"))
        allow_write(self._target, what, yes, ask)
        if self._source.queue and self._around.name != self._target.name:
            allow_write(self._around, f"take {counted(count, 'message')} from {self._source.queue}", yes, ask)
        asked = self._target.safety != "free"
        if count > HANDFUL and not (yes or asked or ask is None) and not ask(f"{what}?"):
            raise SafetyRefusal("not confirmed: nothing was sent", "--yes does not ask")

    def _deed(self, count: str) -> str:
        return f"replay {count}"

    def _begin(self, stack: ExitStack, plan: Plan) -> Journal:
        header: dict[str, object] = {
            "selected": plan.selected,
            "source": self._source.name,
            "fingerprint": self._source.fingerprint,
            "target": self._addresses(),
            "destination": self._destination,
            "choice": self._choice.as_dict(),
            "salt": self._salt,
            "now": self._now,
            "edits": self.edits,
        }
        if isinstance(self._source, Waiting):
            identities = self._source.identities()
            header["taken"] = {planned.number: identities[planned.number] for planned in plan}
        else:
            header["last_line"], header["mark"] = self._source.last_line, self._source.mark()
        journal = Journal.begin(self.path, header)
        stack.callback(journal.close)
        return journal

    def _waiter(self, lines: dict[str, Line], summary: Summary, stack: ExitStack) -> Waiter:
        comparison = None
        if self._way.compare:
            comparison = Comparison(self._way.ignore)
            comparison.learn(self._source.events())
        return Waiter(lines, summary, comparison, stack)

    def _send(self, stack: ExitStack, plan: Plan, job: Job) -> Iterator[Replayed]:
        # A resumed one counts what there was at the beginning: of a queue much is gone.
        selected = self._journal.header.get("selected") if self._journal else plan.selected
        summary = Summary(int(str(selected)))
        plan.summary = summary
        began = monotonic()
        modes = {mode for mode, _ in plan.places}
        lines = open_lines(modes, self._target.endpoint, stack)
        waiter = self._waiter(lines, summary, stack) if self._way.wait is not None else None
        for line in lines.values():
            line.begin()
        journal = self._journal or self._begin(stack, plan)
        summary.before = summary.confirmed = len(journal.confirmed)
        summary.journal, summary.began = str(self.path), True
        try:
            yield from self._play(Sending(self._source, journal, self._pace(), summary, lines), job, waiter)
            self._source.close()  # only now is certain what left the queue; until then the journal is needed
        except MpError as error:
            error.hint = f"{error.hint}; `--resume` goes on" if error.hint else "`--resume` goes on"
            raise
        finally:
            summary.seconds = monotonic() - began
        if not summary.left and not summary.returned and not summary.refused:
            journal.finish()
            summary.journal = ""
        if waiter is not None and self._way.wait is not None:
            yield from waiter.rest(self._way.wait)
        yield summary

    def _pace(self) -> Pace:
        return Pace(self._way.rate, self._way.speed)

    def _play(self, sending: Sending, job: Job, waiter: Waiter | None) -> Iterator[Replayed]:
        sending.before = waiter.expect if waiter is not None else None
        for event in sending.run(job()):
            yield event
            if waiter is not None:
                if isinstance(event, NotSent):
                    waiter.forget(event.planned)
                yield from waiter.ended()


class Move(Run):
    """A move: the same way, other changes."""

    def __init__(
        self, start: Path, source: Waiting, around: Context, choice: Choice, way: Way, path: Path, target: str
    ) -> None:
        super().__init__(start, source, around, around, choice, way, path)
        self._destination = target
        self._place = find_target(around.endpoint(Mode(source.broker)).url, target)

    def job(self) -> Job:
        """The selected messages, as they would be moved."""
        return MoveJob(self._source, self._choice, self._place, self._users())

    def _deed(self, count: str) -> str:
        return f"move {count} from {self._source.queue} to {self._destination}"
