"""The line editor of `mp shell` where nothing runs: what it knows from the source, its form, history and looks."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from terminal import BACKSPACE, ENTER, ESCAPE, F1, F2, F4, TAB, UP, Terminal, ctrl

Open = Callable[..., Terminal]

TASKS = {
    "login": ["email: str", "password: str", 'device: str = "web"'],
    "invite": ["user_obj: dict", "count: int", "note: str | None = None"],
    "logout": [],
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, mp_at: Callable[[Path], Callable[..., object]]) -> Path:
    """A platform with one service, and nothing of it running."""
    folder = tmp_path_factory.mktemp("editor")
    mp = mp_at(folder)
    signatures = [f"sync.{name}({', '.join(parameters)}) -> dict" for name, parameters in TASKS.items()]
    tasks = [word for signature in signatures for word in ("--task", signature)]
    made = mp("new", "service", "mplogin", *tasks)
    assert made.returncode == 0, made.stderr
    assert mp("tasks", "--offline").returncode == 0
    return folder


@pytest.fixture
def opened(platform: Path, tmp_path: Path, environment_at: Callable[..., dict[str, str]]) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(*arguments: str, columns: int = 80, lines: int = 24, **more: str) -> Terminal:
            env = environment_at(tmp_path, **more)
            shell = stack.enter_context(Terminal(["mp", "shell", *arguments], platform, env, columns, lines))
            shell.see(lambda: "sync ✗ async ✗" in shell.bar or "s ✗ a ✗" in shell.bar)
            return shell

        yield open_


def test_the_form_asks_for_each_parameter_and_leaves_the_call(opened: Open) -> None:
    shell = opened(columns=100)
    shell.send("mplogin.sync.invite" + F2)
    shell.see("user_obj (dict):")
    shell.send("12" + ENTER)
    shell.see("an int, not a dict")
    shell.send(ctrl("u") + '{"email": "a@b.c"}' + ENTER)
    shell.see("count (int):")
    shell.send("many" + ENTER)
    shell.see("no int")
    shell.send(BACKSPACE * 4 + "3" + ENTER)
    shell.see("note (str | None, Enter leaves None):")
    shell.send(ENTER)
    shell.see(lambda: shell.line == "local> mplogin.sync.invite(user_obj={'email': 'a@b.c'}, count=3)")


def test_esc_leaves_the_form_and_everything_as_it_was(opened: Open) -> None:
    shell = opened(columns=100)
    shell.send("x = mplogin.sync.invite(count=2, ")
    shell.send(F2)
    shell.see("user_obj (dict):")
    shell.send('{"email": "a@b.c"}' + ENTER)
    shell.see("note (str | None")
    shell.send(ESCAPE)
    shell.see(lambda: shell.line.startswith("local> x = mplogin.sync.invite(count=2,"))
    assert "email" not in shell.text
    shell.send(F2)
    shell.see("user_obj (dict):")
    shell.send('= {"email": name}' + ENTER + "hi" + ENTER)
    shell.see("""x = mplogin.sync.invite(count=2, user_obj={"email": name}, note='hi')""")


def test_a_bracket_that_came_with_a_completion_is_not_typed_twice(opened: Open) -> None:
    shell = opened(columns=100)
    shell.send("mplinvi" + TAB)
    shell.see(lambda: shell.line == "local> mplogin.sync.invite(")
    shell.send("(({}, 1), 2)")  # the first one was there; the second is meant
    shell.see(lambda: shell.line == "local> mplogin.sync.invite(({}, 1), 2)")


def test_the_signature_marks_the_parameter_that_is_typed(opened: Open) -> None:
    shell = opened()
    shell.send("mplogin.sync.login(")
    shell.see("mplogin.sync.login(email: str, password: str, device: str = 'web')")
    assert _marked(shell) == "email: str"
    shell.send('"a@b.c", ')
    shell.see(lambda: _marked(shell) == "password: str")
    shell.send('device="')
    shell.see(lambda: _marked(shell) == "device: str = 'web'")


def _marked(shell: Terminal) -> str:
    row = shell.screen.buffer[shell.screen.lines - 2]
    return "".join(row[at].data for at in range(shell.screen.columns) if row[at].underscore)


def test_f1_shows_all_about_a_task_and_leaves_the_line(opened: Open) -> None:
    shell = opened()
    shell.send("mplogin.sync.login(" + F1)
    shell.see("where     mplogin/mplogin/sync_tasks.py")
    shell.see(lambda: shell.line.startswith("local> mplogin.sync.login("))


def test_forty_columns_and_a_window_that_changes(opened: Open) -> None:
    shell = opened(columns=40)
    assert all(len(line) <= 40 for line in shell.lines)
    assert shell.bar == " local │ s ✗ a ✗ │ 0 workers"
    shell.send("mplogin.sync.login(")
    shell.see(lambda: "login(email: str, password: str, …)" in shell.lines[-2])
    shell.send('"a@b.c", ')
    shell.see(lambda: _marked(shell) == "password: str")
    shell.resize(100, 30)
    shell.see(lambda: "sync ✗ async ✗" in shell.bar and "F2 form" in shell.bar)
    shell.resize(30, 4)
    shell.see(lambda: shell.bar == " local │ s ✗ a ✗ │ 0 workers" and "login(" in shell.text)


def test_the_history_keeps_no_secret_and_is_for_its_owner_alone(opened: Open, tmp_path: Path) -> None:
    shell = opened()
    shell.send("1 + 1" + ENTER)
    shell.see(lambda: "2" in shell.lines and shell.line == "local>")
    shell.send('x = {"token": "s3cret-a"}' + ENTER)
    shell.see(lambda: shell.line == "local>" and "s3cret-a" in shell.text)
    shell.send('mplogin.sync.login("a@b.c", "s3cret-b")' + ENTER)
    shell.see("no sync broker")
    shell.see(lambda: shell.line == "local>")
    shell.send(UP)
    shell.see(lambda: shell.line == 'local> mplogin.sync.login("a@b.c", "s3cret-b")')  # to mend a typing error
    shell.process.kill()  # what was run is kept at once, not at the end
    shell.process.wait()
    folder = tmp_path / ".local" / "state" / "mp" / "shell"
    kept = list(folder.iterdir())
    assert {file.suffix for file in kept} == {".history", ".used"}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in kept)
    text = "".join(file.read_text() for file in kept)
    assert "1 + 1" in text
    assert "s3cret" not in text

    again = opened()
    again.send("1 +")
    again.see(lambda: again.line == "local> 1 + 1")  # suggested, in grey
    again.send(ctrl("c"))
    again.send(ctrl("r") + "+ 1")
    again.see("1 + 1")


def test_of_a_result_that_is_cut_the_beginning_stays_on_the_screen(opened: Open) -> None:
    shell = opened()
    shell.send('[{"number": n, "square": n * n} for n in range(500)]' + ENTER)
    shell.see("there is more: /all shows it")
    shell.see(lambda: shell.line == "local>" and "sync ✗" in shell.bar)
    assert " number   square" in shell.lines
    assert "      3        9" in shell.lines


ODD = """\
class Odd:
    def __repr__(self): raise ValueError('no text')
    def __dir__(self): raise ValueError('no names')
o = Odd()
def given(odd=o): return odd
"""


def test_an_object_that_cannot_be_shown_ends_no_session(opened: Open) -> None:
    shell = opened()
    shell.send(f"\x1b[200~{ODD}\x1b[201~" + ENTER)
    shell.see(lambda: shell.line == "local>")
    shell.send("o" + ENTER)
    shell.see("ValueError: no text")
    shell.send("[o]" + ENTER)
    shell.see(lambda: shell.text.count("ValueError: no text") == 2)
    shell.send("o.no")
    shell.see(lambda: shell.line == "local> o.no")
    shell.send(ctrl("u") + "given(")
    shell.see("given(odd=...)")
    shell.send(ctrl("u") + "6 * 7" + ENTER)
    shell.see(lambda: "42" in shell.lines)


def test_no_colour_when_it_is_not_wanted(opened: Open) -> None:
    shell = opened(NO_COLOR="1")
    shell.send("mplog")
    shell.see("mplogin.sync.login")
    cells = [cell for row in shell.screen.buffer.values() for cell in row.values()]
    assert {(cell.fg, cell.bg) for cell in cells} == {("default", "default")}
    coloured = opened()
    coloured.send("mplog")
    coloured.see("mplogin.sync.login")
    assert {cell.fg for row in coloured.screen.buffer.values() for cell in row.values()} > {"default"}


def test_the_keys_of_vi(opened: Open) -> None:
    shell = opened("--vi")
    shell.send("12 + 1")
    shell.see(lambda: shell.line == "local> 12 + 1")
    shell.send(ESCAPE)
    shell.send("0x")  # to the beginning, and one letter less
    shell.see(lambda: shell.line == "local> 2 + 1")
    shell.send(F4 + ctrl("e") + "0" + ENTER)
    shell.see(lambda: "12" in shell.lines)


def test_a_long_paste_arrives_whole(opened: Open) -> None:
    shell = opened()
    lines = ["def total():", *(f"    x{number} = {number}" for number in range(300)), "    return 4711", ""]
    shell.send("\x1b[200~" + "\n".join(lines) + "\x1b[201~" + ENTER)
    shell.see(lambda: shell.line == "local>")
    shell.send("total()" + ENTER)
    shell.see(lambda: "4711" in shell.lines)


def test_commands_and_files_are_completed(opened: Open) -> None:
    shell = opened()
    shell.send("/contex" + TAB)  # at once: no Tab is lost because the menu is not open yet
    shell.see(lambda: shell.line == "local> /context")
    shell.send(" loc" + TAB)
    shell.see(lambda: shell.line == "local> /context local")
    shell.send(ctrl("u") + "/describe mplo" + TAB + TAB)
    shell.see(lambda: shell.line.startswith("local> /describe mplogin.sync.lo"))
    shell.send(ctrl("u") + "/describe mpinv" + TAB)
    shell.see(lambda: shell.line == "local> /describe mplogin.sync.invite")
    shell.send(ctrl("u") + "open('mp.t")
    shell.see("mp.toml")
    shell.send(ctrl("u") + "mplinv" + TAB)
    shell.see(lambda: shell.line.startswith("local> mplogin.sync.invite("))
