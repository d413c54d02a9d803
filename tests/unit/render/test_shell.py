"""How results of the shell look on a terminal and in a pipe."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date

import pytest

from mpcli.errors import RemoteError
from mpcli.render.shell import FORMS, show_error, show_raised, show_value


class Terminal(io.StringIO):
    """Someone looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def small_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", "60"), ("LINES", "30"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)


def written(show: Callable[..., object], *arguments: object, **named: object) -> str:
    """What a terminal gets, on stdout and stderr."""
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        show(*arguments, **named)
    return terminal.getvalue()


def shown(*arguments: object, **named: object) -> str:
    """The same without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", written(*arguments, **named))


HOSTILE = "a\x1b]0;title\x07\u202eb\r\n\x9b31m"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [HOSTILE, {HOSTILE: [HOSTILE]}, [{"a": HOSTILE}, {"a": 1}], (HOSTILE,), {HOSTILE}])
def test_nothing_in_a_value_reaches_the_terminal_as_a_control(form: str, value: object) -> None:
    text = shown(show_value, value, form, 0.1)
    assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]
    assert "\\x1b" in text or "\\u001b" in text


class Odd:
    def __repr__(self) -> str:
        return f"<Odd password='hunter2' {HOSTILE}>"


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_hidden_on_the_screen(form: str) -> None:
    rows = [{"name": "ann", "password": "hunter2"}, {"name": "amqp://ann:hunter2@host/", "password": "hunter2"}]
    for value in (rows[0], rows, {"deep": rows}, Odd(), [Odd()]):
        text = shown(show_value, value, form, 0.1)
        assert "hunter2" not in text
        assert "***" in text


def test_a_program_gets_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"password": "hunter2", "day": date(2026, 1, 2), "ü": [None] * 500}
    show_value(value, "auto", 0.1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert json.loads(line) == {"password": "hunter2", "day": "2026-01-02", "ü": [None] * 500}
    show_value([{"a": 1, "b": "x\ty"}, {"b": 2, "c": [3]}], "table")
    assert capsys.readouterr().out == "a\tb\tc\n1\tx\\ty\t\n\t2\t[3]\n"


def test_rows_are_a_table_and_the_time_is_below() -> None:
    text = shown(show_value, [{"name": "ann", "amount": 5}, {"name": "bob", "amount": 70}], "auto", 0.0123)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines[0].split() == ["name", "amount"]
    assert lines[2:] == [" ann         5", " bob        70", "12.3 ms"]


@pytest.mark.parametrize(
    "value",
    [[{"a": 1}], [{"a": 1}, {"b": 2}], [{"a": [1]}, {"a": 2}], [{}, {}], [1, {"a": 1}], {"a": {"b": 1}}, (1, [2])],
)
def test_what_is_no_table_is_written_as_python_does(value: object) -> None:
    assert shown(show_value, value, "auto") == f"{value!r}\n"


@pytest.mark.parametrize(("columns", "is_table"), [("44", False), ("55", True), ("200", True)])
def test_rows_that_have_no_room_side_by_side_are_no_table(
    monkeypatch: pytest.MonkeyPatch, columns: str, is_table: bool
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [{"id": 1, **{f"name{at}": "some words" * 3 for at in range(3)}, "count": 17}] * 2
    text = shown(show_value, rows, "auto")
    assert ("─" in text) == is_table
    assert text.startswith("[\n") != is_table
    assert "─" in shown(show_value, rows, "table")  # where it was asked for


def test_what_is_longer_than_the_screen_is_cut_and_can_be_had() -> None:
    lines = shown(show_value, list(range(1000)), "auto", 2.5).splitlines()
    assert len(lines) == 17
    assert lines[-1] == "there is more: /all shows it · 2.50 s"
    for form in FORMS:
        for value in ([{"a": 1, "b": 2}] * 1000, {str(n): n for n in range(1000)}, "x" * 10_000, [["y"] * 20] * 20):
            lines = shown(show_value, value, form, 2.5).splitlines()
            assert (len(lines), lines[-1]) == (17, "there is more: /all shows it · 2.50 s"), form
    assert "    999\n" in shown(show_value, list(range(1000)), "auto", whole=True)


def test_what_fits_on_a_line_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for count in range(20, 67):
        assert shown(show_value, [1] * count, "auto") == f"{[1] * count}\n"


def test_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in written(show_value, {"a": 1}, "auto", 0.1)
    monkeypatch.setenv("NO_COLOR", "1")
    text = "".join(written(show_value, [{"a": 1, "b": True}] * 2, form, 0.1) for form in FORMS)
    text += written(show_error, RemoteError("mpa.sync.f", "E", "x", "Traceback"), 0.1)
    assert not re.search(r"\x1b\[[0-9;]*(3|4|9)[0-9]", text)


def test_the_remote_traceback_is_folded_on_a_terminal() -> None:
    error = RemoteError("mpa.sync.f", "Taken", f"password='hunter2' {HOSTILE}", "Traceback:\n  one\nTaken")
    text = shown(show_error, error, 0.1)
    assert text.startswith("mp: mpa.sync.f raised Taken: password=*** a\\x1b")
    assert text.endswith("\n    /traceback shows where: 3 lines\n100.0 ms\n")
    assert "\x1b]" not in written(show_raised, [f"KeyError: {HOSTILE}"])
