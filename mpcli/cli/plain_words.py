"""A command line in which nothing is unusual, taken apart without typer.

What needs a real parser is not for this one: help, unknown options, short ones, a missing or an odd value.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

Plain = tuple[list[str], dict[str, str], set[str]]


def plain_words(argv: list[str], flags: Container[str], values: Container[str]) -> Plain | None:
    """The arguments, the options with their values, and the flags that are given; None for typer."""
    arguments: list[str] = []
    options: dict[str, str] = {}
    given: set[str] = set()
    words = iter(argv)
    for word in words:
        if word in flags:
            given.add(word)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            if name not in values:
                return None
            value = value if equals else next(words, "")
            if not value or value.startswith("-"):
                return None
            options[name] = value
        elif word.startswith("-") and word != "-":
            return None
        else:
            arguments.append(word)
    return arguments, options, given
