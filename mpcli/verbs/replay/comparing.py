"""Holding the outcome of a replayed task against the one that was recorded. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mpcli.errors import UsageError
from mpcli.verbs.seen import Outcome, Seen
from mpcli.wire.events import task_events

# The same; failed then and succeeded now; the other way round; another result or error; not told then; not told now.
SAME, FIXED, BROKEN, CHANGED, UNRECORDED, SILENT = VERDICTS = (
    *("same", "fixed", "broken", "changed", "unrecorded", "silent"),
)
# What a regression test fails for.
WORSE = (BROKEN, CHANGED)
_ANY = "..."


class Comparison:
    """The recorded final outcomes by task id; what `ignored` expressions match is left out of the comparison."""

    def __init__(self, ignored: Sequence[str] = ()) -> None:
        """Raises `UsageError` for what is no regular expression."""
        self._recorded: dict[str, Outcome] = {}
        try:
            self._ignored = [re.compile(text) for text in ignored]
        except re.error as error:
            raise UsageError(
                f"--ignore is not a regular expression: {error}", "for example --ignore 'id=\\d+'"
            ) from error

    def learn(self, events: Iterable[Seen]) -> None:
        """Take the outcomes that workers told while it was recorded."""
        for seen in events:
            for told in task_events(seen.message):
                if told.is_final:
                    self._recorded[told.id] = Outcome(seen.broker, seen.at, told)

    def recorded(self, task_id: str) -> Outcome | None:
        """How the task ended then."""
        return self._recorded.get(task_id)

    def verdict(self, old_id: str, new_id: str, now: Outcome | None) -> str:
        """One of `VERDICTS`. Results and errors are compared as the workers wrote them, ids of the task aside."""
        then = self._recorded.get(old_id)
        if then is None:
            return UNRECORDED
        if now is None:
            return SILENT
        good, was_good = now.what == "succeeded", then.what == "succeeded"
        if good != was_good:
            return FIXED if good else BROKEN
        texts = (then.result, now.result) if good else (then.error, now.error)
        old, new = (self._plain(text or "", old_id, new_id) for text in texts)
        return SAME if old == new else CHANGED

    def _plain(self, text: str, *ids: str) -> str:
        for one in ids:
            if one:
                text = text.replace(one, _ANY)
        for expression in self._ignored:
            text = expression.sub(_ANY, text)
        return text
