from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from mpcli.shell.names import LIMIT, Names, matches, rank

WORDS = st.text(alphabet=string.ascii_lowercase[:6] + "_", min_size=1, max_size=9)
NAMES = st.builds("{}.{}.{}".format, WORDS, st.sampled_from(["sync", "async"]), WORDS)


def _in_order(typed: str, name: str) -> bool:
    signs = iter(name.lower())
    return all(letter in signs for letter in typed.lower())


@given(st.lists(NAMES, max_size=60), st.text(alphabet="abcdef_.sync", min_size=1, max_size=6))
def test_it_finds_what_holds_the_letters_in_their_order_and_nothing_else(names: list[str], typed: str) -> None:
    assert set(Names(names).search(typed)) == {name for name in names if _in_order(typed, name)}


@given(st.lists(NAMES, max_size=30), WORDS)
def test_better_matches_come_first(names: list[str], typed: str) -> None:
    ranks = [rank(typed, name) for name in Names(names).search(typed)]
    assert ranks == sorted(ranks)


def test_a_few_letters_find_a_task() -> None:
    names = Names(["mplogin.sync.register", "mplogin.sync.logout", "mpwallet.sync.open"])
    assert names.search("mplre") == ["mplogin.sync.register"]
    assert names.search("reg") == ["mplogin.sync.register"]
    assert names.search("MPW") == ["mpwallet.sync.open"]
    assert names.search("zz") == []


def test_what_is_used_more_comes_first_among_equals() -> None:
    names = Names([f"mplogin.sync.task_{letter}" for letter in string.ascii_lowercase])
    found = names.search("mplogin.sync.t", {"mplogin.sync.task_x": 3, "mplogin.sync.task_k": 9, "other": 99})
    assert found[:3] == ["mplogin.sync.task_k", "mplogin.sync.task_x", "mplogin.sync.task_a"]


def test_what_is_used_is_found_among_many() -> None:
    names = Names([f"mpa.sync.task{number:05}" for number in range(10_000)])
    found = names.search("task", {"mpa.sync.task09876": 1})
    assert found[0] == "mpa.sync.task09876"
    assert len(found) == LIMIT


def test_names_that_are_too_long_for_the_columns() -> None:
    long = f"mplogin.sync.{'x' * 100}_end"
    assert Names([long, "mplogin.sync.short"]).search("lend") == [long]


def test_signs_of_regular_expressions_are_letters() -> None:
    assert not matches(".*", "abc")
    assert Names(["mpa.sync.b"]).search("[") == []
