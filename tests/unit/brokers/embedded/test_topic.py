"""Topic patterns against a plain recursive definition."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from mpcli.brokers.embedded.topic import matches, split_key


def by_definition(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(by_definition(pattern[1:], words[at:]) for at in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and by_definition(pattern[1:], words[1:])


@given(
    st.lists(st.sampled_from(["#", "*", "a", "b", ""]), max_size=5),
    st.lists(st.sampled_from(["a", "b", ""]), max_size=5),
)
def test_it_matches_as_defined(pattern: list[str], words: list[str]) -> None:
    assert matches(pattern, words) == by_definition(pattern, words)


def test_the_empty_key_has_no_word() -> None:
    assert split_key("") == []
    assert matches(split_key("#"), split_key(""))
    assert not matches(split_key("*"), split_key(""))


def test_no_pattern_takes_for_ever() -> None:
    started = time.process_time()
    assert not matches(["#", "a"] * 60, ["a"] * 59 + ["b"])
    assert time.process_time() - started < 1
