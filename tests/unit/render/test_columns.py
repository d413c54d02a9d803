"""Columns fit the terminal, whatever is in them; what must be whole is whole."""

import pytest

from mpcli.render.columns import print_columns

ROWS = [
    ("mplogin.sync.register", "12", "(user_obj: dict[str, Any]) -> dict[str, Any]", "Register a user.", "a/b.py:3"),
    ("mplogin.async.mail", "3", "()", "宛先にメールを送る: send a mail to everybody", "mplogin/mplogin/tasks.py:100"),
]
HEADINGS = ("task", "workers", "signature", "what it does", "where")


def shown(capsys, monkeypatch, width: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    print_columns(HEADINGS, ROWS, whole=2, right=1)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_lines_are_no_wider_than_the_terminal_and_names_are_whole(capsys, monkeypatch, width) -> None:
    from rich.cells import cell_len

    lines = shown(capsys, monkeypatch, width)
    assert max(map(cell_len, lines)) <= width
    assert [line.split()[0] for line in lines[3:5]] == [row[0] for row in ROWS]
    assert [line.split()[1] for line in lines[3:5]] == ["12", "3"]
    assert "…" in lines[3]


def test_nothing_is_cut_where_there_is_room(capsys, monkeypatch) -> None:
    lines = shown(capsys, monkeypatch, 250)
    for row, line in zip(ROWS, lines[3:], strict=False):
        assert all(cell in line for cell in row)
    assert "…" not in "".join(lines)


def test_a_terminal_too_narrow_for_the_names_still_shows_them(capsys, monkeypatch) -> None:
    lines = shown(capsys, monkeypatch, 20)
    assert [line.strip() for line in lines[1:]] == ["task", "─" * 21, *(row[0] for row in ROWS), ""]
    assert shown(capsys, monkeypatch, 40)[1].split() == ["task", "workers", "signature"[:7] + "…"]
