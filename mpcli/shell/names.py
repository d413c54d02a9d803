"""Finding names by what was typed of them: by their beginning, by the beginning of their last word, or by letters in
their order (`mplre` finds `mplogin.sync.register`). At most `LIMIT` hits: nobody reads more, and a keystroke waits.

Over 10,000 names a search costs well under a millisecond: beginnings are found by bisection, and letters in their order
by arithmetic on whole numbers that hold a bit for each name, so that one operation looks at all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice

LIMIT = 50
# Names that are longer are looked at one by one, and there are hardly any.
_WIDTH = 64


class Names:
    """A sorted set of names that can be searched; it does not change. Names hold no line ends."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = sorted(set(names))
        # By the last word, with the name behind a sign that sorts before every letter.
        self._by_word = sorted(f"{name[name.rfind('.') + 1 :]}\0{name}" for name in self.all if "." in name)
        self._long = [name for name in self.all if len(name) > _WIDTH]
        self._width = min(max(map(len, self.all), default=0), _WIDTH)
        self._text = "".join(f"{name.lower()[: self._width]:{self._width}}" for name in self.all)
        self._signs = frozenset(self._text)
        self._columns: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.all)

    def __contains__(self, name: str) -> bool:
        return self._has(name)

    def search(self, typed: str, used: Mapping[str, int] | None = None) -> list[str]:
        """The names that `typed` may stand for, the likeliest first: by how they match, then by how often `used`."""
        counts = used or {}
        if not typed:
            favourites = [name for name in sorted(counts, key=lambda name: -counts[name]) if self._has(name)]
            return list(dict.fromkeys([*favourites[:LIMIT], *self.all[:LIMIT]]))[:LIMIT]
        found = dict.fromkeys(name for name in counts if matches(typed, name) and self._has(name))
        found.update(dict.fromkeys(self.beginning(typed)))
        found.update(dict.fromkeys(self._word_beginning(typed)))
        if len(found) < LIMIT:
            found.update(dict.fromkeys(self._spread(typed)))
        return sorted(found, key=lambda name: (rank(typed, name), -counts.get(name, 0)))[:LIMIT]

    def beginning(self, typed: str) -> list[str]:
        """The first names that begin so, in order."""
        at = bisect_left(self.all, typed)
        part = self.all[at : at + LIMIT]
        if part and not part[-1].startswith(typed):
            return part[: bisect_left(part, True, key=lambda name: not name.startswith(typed))]
        return part

    def _word_beginning(self, typed: str) -> list[str]:
        at = bisect_left(self._by_word, typed)
        found = []
        for entry in self._by_word[at : at + LIMIT]:
            if not entry.startswith(typed):
                break
            found.append(entry.partition("\0")[2])
        return found

    def _spread(self, typed: str) -> list[str]:
        """The first names that hold the letters in their order.

        All names at once: a bit for each name, moved from "has the first k letters" to "has k + 1" by each position.
        """
        letters = typed.lower()
        columns = [self._column(letter) for letter in letters]
        reached = [(1 << len(self.all)) - 1] + [0] * len(letters)
        for at in range(self._width):
            for have in range(min(at, len(letters) - 1), -1, -1):
                here = columns[have][at]
                if here and reached[have]:
                    reached[have + 1] |= reached[have] & here
        found = list(islice(self._named(reached[-1]), LIMIT))
        return found + [name for name in self._long if matches(typed, name)]

    def _column(self, letter: str) -> list[int]:
        """By position, the names that have this letter there: a bit for each name, the first name's the highest."""
        known = self._columns.get(letter)
        if known is None:
            if letter in self._signs:
                only = {ord(sign): "1" if sign == letter else "0" for sign in self._signs}
                known = [int(self._text[at :: self._width].translate(only), 2) for at in range(self._width)]
            else:
                known = [0] * self._width
            self._columns[letter] = known
        return known

    def _named(self, bits: int) -> Iterator[str]:
        signs = f"{bits:0{len(self.all)}b}" if bits else ""
        at = signs.find("1")
        while at >= 0:
            yield self.all[at]
            at = signs.find("1", at + 1)

    def warm(self) -> None:
        """Do now, in the thread that made this, what the first searches would have to do."""
        for letter in self._signs:
            self._column(letter)

    def _has(self, name: str) -> bool:
        at = bisect_left(self.all, name)
        return at < len(self.all) and self.all[at] == name


def rank(typed: str, name: str) -> int:
    """How well it matches: 0 begins so, 1 its last word does, 2 a word does, 3 holds it, 4 its letters in order."""
    letters, line = typed.lower(), name.lower()
    if line.startswith(letters):
        return 0
    at = line.find(letters)
    if at < 0:
        return 4
    if line.startswith(letters, line.rfind(".") + 1):
        return 1
    return 2 if not line[at - 1].isalnum() else 3


def matches(typed: str, name: str) -> bool:
    """Whether the letters of `typed` are in `name` in their order."""
    return _in_order(typed.lower()).search(name.lower()) is not None


@lru_cache(maxsize=256)
def _in_order(letters: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, letters)), re.DOTALL)


def among(typed: str, names: Iterable[str], used: Mapping[str, int] | None = None) -> list[str]:
    """As `Names.search`, for a few names, without an index; among equals their own order stays."""
    counts = used or {}
    found = [name for name in names if not typed or matches(typed, name)]
    found.sort(key=lambda name: (rank(typed, name) if typed else 0, -counts.get(name, 0)))
    return found[:LIMIT]
