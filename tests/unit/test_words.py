"""Words that messages share."""

import re
from pathlib import Path

import pytest

import mpcli
from mpcli.words import counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 queues"), (1, "1 queue"), (2, "2 queues"), (-1, "-1 queues")])
def test_one_is_singular(number, text) -> None:
    assert counted(number, "queue") == text


def test_a_plural_of_its_own() -> None:
    assert (counted(1, "delivery", "deliveries"), counted(3, "delivery", "deliveries")) == (
        "1 delivery",
        "3 deliveries",
    )


def test_no_text_counts_with_a_plural_that_is_always_there() -> None:
    """`1 messages` is what a count in braces before a plural word becomes."""
    always = re.compile(r"\} (more )?(messages|calls|queues|workers|outcomes|gaps|consumers|dead letters|lines)\b")
    # Where the sentence itself depends on the number, it is written out for one and for more.
    known = {'"1 line is" if', '"1 message waiting" if', '"1 worker is" if', '"1 worker is listening" if'}
    found = [
        f"{path.name}: {line.strip()}"
        for path in Path(mpcli.__file__).parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if always.search(line) and not any(one in line for one in known)
    ]
    assert found == []
