"""TAB: what it offers, and that its table is the command line that there is."""

from pathlib import Path

import pytest
import typer

from mpcli.cli import completion
from mpcli.cli.app import build_app


def test_the_table_is_the_command_line() -> None:
    command = typer.main.get_command(build_app())
    real = {
        name: tuple(getattr(sub, "commands", {}))
        for name, sub in command.commands.items()  # type: ignore[attr-defined]
        if not sub.hidden
    }
    offered = {name: () if name == "completion" else words for name, words in completion.COMMANDS.items()}
    assert offered == real


@pytest.fixture
def platform_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mp.toml").write_text("")
    service = tmp_path / "mplogin"
    service.mkdir()
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin:app"\n')
    (service / "mplogin.py").write_text('@app.task\ndef register():\n    "Say \\x1b[31m hello."\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ca"], ["call"]),
        (["new", ""], ["platform", "service"]),
        (["completion", "z"], ["zsh"]),
        (["call", "mplo"], ["mplogin.sync.register\tSay \\x1b[31m hello."]),
        (["call", "zz"], []),
        (["worker", ""], ["mplogin.sync"]),
        (["demo", "x"], []),
        (["nonsense", ""], []),
    ],
)
def test_candidates(platform_folder: Path, words: list[str], offered: list[str]) -> None:
    assert completion.candidates(words) == offered


def test_tab_outside_a_platform_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.complete(["call", "mp"]) == 0
    assert capsys.readouterr() == ("", "")
