"""What the user wants of a replay: which messages, changed how. Plain values, kept in the journal for a resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase

from mpcli.errors import NotFound, UsageError
from mpcli.verbs.replay.arguments import Assignment
from mpcli.verbs.replay.policy import DROP, EXPIRED
from mpcli.verbs.seen import Seen
from mpcli.verbs.where import Where
from mpcli.words import counted

_MIN_ID = 4


@dataclass(frozen=True)
class Choice:
    """The options that say which messages and what changes; `ids` may be cut to their first characters.

    With `consequences` also what other messages of a recording led to: retries, dead letters, what a task sent.
    """

    where: str | None = None
    tasks: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    limit: int | None = None
    keep_id: bool = False
    expired: str = DROP
    sets: list[str] = field(default_factory=list)
    consequences: bool = False

    def check(self) -> None:
        """Raises `UsageError` for a value that makes no sense."""
        if self.expired not in EXPIRED:
            raise UsageError(f"--expired {self.expired!r}", f"one of {', '.join(EXPIRED)}")
        for text in self.ids:
            if len(text) < _MIN_ID:
                raise UsageError(f"--id {text!r} is too short", f"at least {_MIN_ID} characters of it")
        self.assignments()
        if self.where is not None:
            Where(self.where)

    @property
    def filters(self) -> bool:
        """Whether it names what is meant: then it is an error when there is none."""
        return bool(self.where or self.tasks or self.ids)

    def assignments(self) -> list[Assignment]:
        """The parsed `--set`s."""
        return [Assignment(text) for text in self.sets]

    def as_dict(self) -> dict[str, object]:
        """All fields, as `Choice(**fields)` takes them."""
        return asdict(self)


class Selector:
    """Says of each message whether it is meant."""

    def __init__(self, choice: Choice) -> None:
        self.where = Where(choice.where) if choice.where else None
        self._choice = choice
        self._count = 0
        self.looked = 0

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._choice.limit is not None and self._count >= self._choice.limit

    def __call__(self, seen: Seen) -> bool:
        """Whether it is one of them; counted when it is."""
        choice = self._choice
        if self.full:
            return False
        self.looked += 1
        if choice.tasks and not any(fnmatchcase(seen.task, pattern) for pattern in choice.tasks):
            return False
        if choice.ids and not seen.view.id.startswith(tuple(choice.ids)):
            return False
        if self.where is not None and not self.where(seen):
            return False
        self._count += 1
        return True

    def none(self, source: str, undone: str, is_queue: bool = True) -> NotFound:
        """What to say when there was none in `source`; `undone` is what was not done."""
        more = "what workers hold cannot be" if is_queue else "`mp record stat` tells what it holds"
        why = f"{counted(self.looked, 'message')} looked at; {more}"
        if self.where is not None and self.where.failures:
            why = f"--where raised on {counted(self.where.failures, 'message')}, last: {self.where.failure}"
        return NotFound(f"no message of {source} matches: {undone}", why)
