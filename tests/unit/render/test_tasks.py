"""A signature reads as Python writes it: what `inspect` says of a function is what is shown."""

import inspect
from collections.abc import Callable

import pytest

from mpcli.catalog.signature import signature


def _parameters(function: Callable[..., object]) -> list[dict[str, object]]:
    return [
        {
            "name": p.name,
            "kind": p.kind.name,
            "annotation": None if p.annotation is p.empty else p.annotation,
            "default": None if p.default is p.empty else repr(p.default),
        }
        for p in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(
    "function",
    [
        lambda: 0,
        lambda a: 0,
        lambda a, /: 0,
        lambda a, /, b=1: 0,
        lambda a, *, b=2, c: 0,
        lambda *a, b: 0,
        lambda a=None, **k: 0,
        lambda a, /, b, *c, d="x", **e: 0,
    ],
)
def test_it_reads_as_python_writes_it(function: Callable[..., object]) -> None:
    assert signature(_parameters(function)) == str(inspect.signature(function))


def test_annotations_and_the_return() -> None:
    shown = signature([{"name": "a", "kind": "KEYWORD_ONLY", "annotation": "int", "default": "3"}], "dict[str, int]")
    assert shown == "(*, a: int = 3) -> dict[str, int]"
