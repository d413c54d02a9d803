"""TAB: what it offers, and that its table is the command line that there is."""

import subprocess
import sys
from pathlib import Path

import pytest

from mpcli.cli import tab, table
from mpcli.cli.entry import main

TASKS = """
@app.task
def register(email: str, user_obj: dict, dry_run: bool = False, /, *, age: int = 3):
    "Say \\x1b[31m hello."

@app.task
def login(email: str, user_obj: dict, dry_run: bool = False): ...

@later.task
def send_mail(to): ...
"""


def test_the_table_is_the_command_line() -> None:
    assert table.FILE.read_text() == table.table(), "run `python -m mpcli.cli.table`"


@pytest.fixture
def platform_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MP_CONTEXT", raising=False)
    (tmp_path / "mp.toml").write_text('[context.staging]\nsync_url = "amqp://a"\nsafety = "confirm"\n')
    service = tmp_path / "mplogin"
    service.mkdir()
    (service / "pyproject.toml").write_text(
        '[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin:app"\nasync = "mplogin:later"\n'
    )
    (service / "mplogin.py").write_text(TASKS)
    (tmp_path / "a file.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ca"], ["call"]),
        (["--de"], ["--debug"]),
        (["--debug", "ca"], ["call"]),
        (["new", ""], ["platform", "service"]),
        (["new", "service", ""], []),
        (["new", "service", "mpx", "--example", ""], ["login", "wallet"]),
        (["completion", "z"], ["zsh"]),
        (["call", "mplogin.s"], ["mplogin.sync.login", "mplogin.sync.register\tSay  [31m hello."]),
        (["call", "zz"], []),
        (["replay", "mplogin."], ["mplogin.async", "mplogin.dead", "mplogin.sync"]),
        (["replay", "a"], ["a file.json"]),
        (["replay", "--to", "s"], ["staging\tconfirm"]),
        (["replay", "--broker", "a"], ["async"]),
        (["move", "mplogin.dead", "mplogin.a"], ["mplogin.async"]),
        (["peek", ""], ["mplogin.async", "mplogin.dead", "mplogin.sync"]),
        (["replay", "x", "--expired", ""], ["drop", "shift", "keep"]),
        (["peek", "--broker", ""], ["sync", "async"]),
        (["up", "--broker", "r"], ["rabbitmq"]),
        (["trace", "--call", "mplogin.sync.login", "em"], ["email=	str"]),
        (["trace", "0af3", "a"], ["a file.json"]),
        (["call", "--ti"], ["--timeout"]),
        (["call", "--timeout", ""], []),
        (["call", "--json", "--js"], []),
        (["call", "--timeout", "3", "mplogin.a"], ["mplogin.async.send_mail"]),
        (["call", "mplogin.sync.login", ""], ["email=\tstr", "user_obj:=\tdict", "dry_run:=\tbool = False"]),
        (["call", "mplogin.sync.login", "email=x", "e"], []),
        (["call", "mplogin.sync.login", "dry_run:=t"], ["dry_run:=true"]),
        (["call", "mplogin.sync.login", "user_obj:=@a"], ["user_obj:=@a file.json"]),
        (["call", "mplogin.sync.register", "a"], ["age:=\tint = 3"]),
        (["call", "mplogin.sync.nothing", ""], []),
        (["worker", ""], ["mplogin.async", "mplogin.sync"]),
        (["up", "--broker", "e"], ["embedded"]),
        (["up", "--broker=r"], ["--broker=rabbitmq"]),
        (["tail", "--context", ""], ["local\twhat `mp up` runs", "staging\tconfirm"]),
        (["tail", "mplogin.async"], ["mplogin.async.send_mail"]),
        (["record", "show", "mp"], ["mp.toml", "mplogin/"]),
        (["demo", "x"], []),
        (["nonsense", ""], []),
    ],
)
def test_candidates(platform_folder: Path, words: list[str], offered: list[str]) -> None:
    found = tab.candidates(words)
    assert (sorted(found) if words[0] == "worker" else found) == offered


@pytest.mark.parametrize(
    ("line", "put"),
    [
        ("mp ca", ["call "]),
        ("X=1 mp ca", ["call "]),
        ("mp call mplogin.sync.l", ["mplogin.sync.login "]),
        ("mp call mplogin.sync.login us", ["user_obj:="]),
        ("mp call mplogin.sync.login user_obj:", ["="]),
        ("mp call mplogin.sync.login dry_run:=f", ["false "]),
        ("mp call mplogin.sync.login user_obj:=@a", ["@a\\ file.json "]),
        ("mp call mplogin.sync.login user_obj:='{\"a", []),
        ('mp call mplogin.sync.login email="a b" us', ["user_obj:="]),
        ("mp up --broker=r", ["rabbitmq "]),
    ],
)
def test_bash_gets_what_is_behind_its_last_break(platform_folder: Path, line: str, put: list[str]) -> None:
    assert tab.for_bash(line, "\"'@><=;|&(:") == put


def test_many_services_are_offered_before_their_tasks(platform_folder: Path) -> None:
    for number in range(12):
        folder = platform_folder / f"mpx{number}"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(f'[tool.mpcli]\nservice = "mpx{number}"\nsync = "a:app"\n')
        (folder / "a.py").write_text("@app.task\ndef do(): ...\n")
    assert "mpx3.\tsync" in tab.candidates(["call", "mp"])
    assert tab.candidates(["call", "mpx3"]) == ["mpx3.sync.do"]
    assert tab.candidates(["call", "mpx3."]) == ["mpx3.sync.do"]


@pytest.mark.parametrize("words", [["call", "mp"], ["worker", ""], ["call", "mplogin.sync.x", ""]])
def test_tab_outside_a_platform_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["__complete", *words]) == 0
    assert capfdbinary.readouterr() == (b"", b"")


def test_a_broken_platform_is_silent(platform_folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (platform_folder / "mp.toml").write_text("[")
    assert main(["__complete", "call", "mp"]) == 0
    assert main(["__complete_line"]) == 0
    assert capfdbinary.readouterr() == (b"", b"")


def test_tab_loads_nothing_that_python_did_not(platform_folder: Path) -> None:
    tab.candidates(["call", "mp"])  # so that there is an index
    home = str(Path(tab.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {home!r}); from mpcli.cli.tab import main; main(sys.argv[1:]); "
    code += "print(sorted({'collections', 're', 'json', 'pathlib', 'typing', 'enum', 'typer'} & set(sys.modules)))"
    argv = [sys.executable, "-I", "-S", "-c", code, "__complete_line", "mp call mplogin.sync.l", ":="]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert sorted(done.stdout.splitlines()) == ["[]", "mplogin.sync.login "]
