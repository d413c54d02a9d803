"""Topic patterns: words between dots, `*` for one word, `#` for any number of them, none included."""

from __future__ import annotations


def matches(pattern: list[str], words: list[str]) -> bool:
    """Whether the routing key fits. Time is bounded by the product of the lengths, whatever the pattern.

    The states are the positions in the pattern that the words so far can have led to.
    """
    states = _skip_hashes(pattern, {0})
    for word in words:
        after = set()
        for at in states:
            if at < len(pattern):
                if pattern[at] == "#":
                    after.add(at)
                elif pattern[at] in ("*", word):
                    after.add(at + 1)
        if not after:
            return False
        states = _skip_hashes(pattern, after)
    return len(pattern) in states


def split_key(key: str) -> list[str]:
    """The words of a routing key or pattern. The empty key has none: it does not fit `*`."""
    return key.split(".") if key else []


def _skip_hashes(pattern: list[str], states: set[int]) -> set[int]:
    for at in list(states):
        position = at
        while position < len(pattern) and pattern[position] == "#":
            position += 1
            states.add(position)
    return states
