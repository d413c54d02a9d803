"""`mp tasks` read by hand and by typer: the same words mean the same."""

import pytest
import typer
from typer.testing import CliRunner

from mpcli.cli import fast_tasks, tasks

PLAIN = [
    [],
    ["mplogin"],
    ["mplogin.*", "--offline"],
    ["--json", "--context", "staging", "x"],
    ["--context=staging", "--offline", "--json"],
]
FOR_TYPER = [["--help"], ["a", "b"], ["--nope"], ["--context"], ["--context", "--json"], ["-h"], ["--json=1"], ["--"]]


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_typer_reads_the_same(words, monkeypatch) -> None:
    called = []
    monkeypatch.setattr(fast_tasks, "list_tasks", lambda *given: called.append(given))
    app = typer.Typer()
    tasks.register(app)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert fast_tasks.run(words) == 0
    assert called[0] == called[1]


@pytest.mark.parametrize("words", FOR_TYPER, ids=" ".join)
def test_what_is_not_plain_is_left_to_typer(words) -> None:
    assert fast_tasks.run(words) is None
