"""`mp call` checks arguments by what is known here, and lets a running worker overrule it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpcli.bus.naming import Mode
from mpcli.catalog.check import ArgumentsRefused
from mpcli.verbs.call import call_task

SOURCE = '''
from apps import sync_app


@sync_app.task(name="mpalpha.sync.add")
def add({parameters}):
    """Not what runs."""
'''


@pytest.fixture
def source(served: Any, tmp_path: Path) -> Any:
    """A platform whose source says what it is told to of mpalpha.sync.add; its workers have `a: int, b: int = 1`."""
    (tmp_path / "mp.toml").write_text("")
    (tmp_path / "mpalpha").mkdir()
    (tmp_path / "mpalpha" / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mpalpha"\nsync = "apps:sync_app"\n')

    def call(parameters: str, *args: object, **kwargs: object) -> tuple[object, list[str]]:
        (tmp_path / "mpalpha" / "tasks.py").write_text(SOURCE.format(parameters=parameters))
        notes: list[str] = []
        url = served.urls[Mode.SYNC]
        done = call_task("mpalpha.sync.add", list(args), kwargs, start=str(tmp_path), url=url, note=notes.append)
        return done.value, notes

    return call


def test_what_fits_the_source_is_sent_converted(source: Any) -> None:
    assert source("a: int, b: int = 1", a="1", b="41") == (42, [])


def test_a_running_worker_overrules_the_source(source: Any) -> None:
    value, notes = source("first: int, second: int", a="1", b=41)
    assert value == 42
    assert "another version" in notes[0]


def test_what_neither_takes_is_refused_with_the_signature_that_runs(source: Any) -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        source("first: int", aa=1)
    assert "mpalpha.sync.add(a: int, b: int = 1)" in refused.value.hint
    with pytest.raises(ArgumentsRefused, match="a is text that is no int"):
        source("a: int", "one")
