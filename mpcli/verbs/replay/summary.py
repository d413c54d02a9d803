"""How a replay went, in numbers that add up."""

from __future__ import annotations


class Summary:
    """How it went so far; the counts add up: selected = confirmed + returned + refused + skipped + left.

    `before` of the confirmed ones were so in an earlier run. `journal` is the file to resume from, empty when nothing
    is left to be resumed. `unknown` were published and not answered for: they may be sent twice by a resume.
    """

    __slots__ = (
        *("before", "began", "compared", "confirmed", "failed", "journal", "outcomes", "refused", "returned"),
        *("seconds", "selected", "silent", "skipped", "unknown"),
    )

    def __init__(self, selected: int = 0) -> None:
        self.selected = selected
        self.before = 0
        # Whether anything may have been sent.
        self.began = False
        self.confirmed = 0
        self.returned = 0
        self.refused = 0
        self.skipped = 0
        self.unknown = 0
        self.journal = ""
        self.seconds = 0.0
        # With --wait: tasks that ended, of those the failed ones, and those of which nothing was heard.
        self.outcomes = 0
        self.failed = 0
        self.silent = 0
        self.compared: dict[str, int] = {}

    @property
    def left(self) -> int:
        """Selected and neither sent nor given up."""
        return self.selected - self.confirmed - self.returned - self.refused - self.skipped
