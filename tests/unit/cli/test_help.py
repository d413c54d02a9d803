"""The pages of `--help`: every command's, at the widths of terminals."""

from __future__ import annotations

import re

import pytest

from mpcli.cli.app import as_command, run_command
from mpcli.cli.entry import main

ALL = as_command()


def commands():
    """Every command line that has a page."""
    waiting = [((), ALL)]
    while waiting:
        path, command = waiting.pop()
        yield path
        waiting += [((*path, name), inner) for name, inner in getattr(command, "commands", {}).items()]


@pytest.fixture
def page(capsys, monkeypatch):
    def read(*path, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert run_command(ALL, [*path, "--help"]) == 0
        return capsys.readouterr().out

    return read


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
def test_every_page_is_whole_and_fits(path, page):
    for columns in (40, 80, 120):
        text, _, examples = page(*path, columns=columns).partition("\nExample")
        assert text.startswith(f"Usage: {' '.join(('mp', *path))}")
        assert f"mp {path[0] if path else ''}" in examples
        assert all(len(line) < columns for line in text.splitlines()[1:]), text
        assert not re.search(r"<\w|\[x[<>]|\{\w+\}|None|\(default", text), text
        assert "-h, --help" in text


def test_every_argument_and_option_says_what_it_is_for():
    waiting = [ALL]
    for command in waiting:
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            if not parameter.hidden:
                assert parameter.help, (command.name, parameter.name)
                takes_nothing = getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)
                assert takes_nothing or parameter.metavar, (command.name, parameter.name)


def test_groups_stand_in_their_order_with_what_is_theirs(page):
    text = page("call")
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert titles == ["Arguments", "The result", "An async task, later", "A batch", "Options", "Examples"]
    batch = text.partition("A batch:\n")[2].partition("\n\n")[0]
    assert re.findall(r"--[a-z]+", batch) == ["--batch", "--concurrency", "--journal", "--retry"]
    assert "[8; 100 async ones]" in batch
    assert "--timeout SECONDS" in text
    assert "[10]" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call"], "missing argument 'TASK'\n    see `mp call --help`"),
        (["call", "a", "--timeout"], "option '--timeout' requires an argument\n    see `mp call --help`"),
        (
            ["call", "a", "--timeout", "x"],
            "invalid value for '--timeout': not a valid number\n    see `mp call --help`",
        ),
        (["broker", "run", "--port"], "option '--port' requires an argument\n    see `mp broker run --help`"),
    ],
)
def test_a_wrong_command_line_names_the_page_to_see(words, said, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err == f"mp: {said}\n"


def test_a_group_without_a_command_says_so_in_two_lines(capsys) -> None:
    for group in ("broker", "context", "new", "record"):
        assert main([group]) == 2
        assert capsys.readouterr().err == f"mp: missing command\n    see `mp {group} --help`\n"
