"""A session in a platform of which nothing runs: names, signatures, variables, errors of the user's own, commands."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpcli.errors import BrokerUnreachable, MpError, SafetyRefusal, UsageError
from mpcli.shell.events import Copied, Failure, Leave, Paged, Raised, Said, Text, Value
from mpcli.shell.language import Cell, Kind
from mpcli.shell.session import Quiet, Session
from mpcli.verbs.new import new_service


class CommandLine:
    """Two commands, which keep what they are given."""

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], str | None]] = []

    def names(self) -> dict[str, str]:
        return {"tail": "Watch", "describe": "Show", "context": "Name"}

    def run(self, words: list[str], context: str | None) -> int:
        self.ran.append((words, context))
        return 0


ODD = """

@sync_app.task
def odd(a, /, b: list[int] = [1], *rest, c: str = 'x', **more) -> None:
    '''Odd.'''
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("platform")
    new_service(folder, "mplogin", example="login")
    with (folder / "mplogin" / "mplogin" / "sync_tasks.py").open("a") as file:
        file.write(ODD)
    return folder


@pytest.fixture
def line() -> CommandLine:
    return CommandLine()


@pytest.fixture
def session(platform: Path, line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    for variable in ("MP_SYNC_URL", "MP_ASYNC_URL", "MP_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    session = Session(platform, command_line=line)
    yield session
    session.close()


def value(session: Session, text: str) -> object:
    (event,) = session.run(text)
    assert isinstance(event, Value), event
    return event.value


def refused(session: Session, text: str) -> MpError:
    (event,) = session.run(text)
    assert isinstance(event, Failure), event
    return event.error


def test_a_task_tells_what_it_takes(session: Session) -> None:
    task = value(session, "mplogin.sync.odd")
    assert str(inspect.signature(task)) == "(a, /, b: list[int] = [1], *rest, c: str = 'x', **more) -> None"
    assert repr(task) == f"mplogin.sync.odd{inspect.signature(task)}\n    Odd."
    assert inspect.getdoc(task) == "Odd."
    assert value(session, "dir(mplogin.sync)") == ["login", "odd", "register"]
    assert repr(value(session, "mplogin")).splitlines() == [
        "mplogin.sync: login, odd, register",
        "mplogin.async: send_welcome_email",
    ]
    patient = value(session, "mplogin.sync.odd.with_options(timeout=3).with_options(timeout=60)")
    assert repr(patient).startswith("mplogin.sync.odd.with_options(timeout=60)(a, /")
    assert patient != task
    unknown = value(session, "mplogin.sync.nothing_of_it")
    assert "nobody here knows" in repr(unknown)
    assert str(inspect.signature(unknown)).startswith("(*args")


def test_names_behave_as_objects_do(session: Session) -> None:
    task = value(session, "mplogin.async.send_welcome_email")
    assert copy.copy(task) == copy.deepcopy(task) == task
    assert len({task, copy.copy(task)}) == 1
    assert task != value(session, "mplogin.async")
    assert value(session, "[hasattr(x, '__iter__') for x in (mplogin, mplogin.sync, mplogin.sync.odd)]") == [False] * 3
    (event,) = session.run("mplogin.register")
    assert event.lines[-1] == "AttributeError: mplogin has no register: did you mean mplogin.sync.register?"


def test_names_that_no_service_can_have_are_unknown(session: Session) -> None:
    (event,) = session.run("x = len('ab')\nlogin")
    assert isinstance(event, Raised)
    assert event.lines == [
        "Traceback (most recent call last):",
        '  File "<shell 1>", line 2, in <module>',
        "    login",
        "NameError: name 'login' is not defined",
    ]
    assert session.variables == {"x": 2}


def test_only_the_users_own_frames_are_shown(session: Session) -> None:
    list(session.run("def f(x):\n    return g(x)\n\ndef g(x):\n    return x.async.y\n"))
    (event,) = session.run("try:\n    f(1)\nexcept AttributeError as e:\n    raise ValueError('so') from e")
    assert [line for line in event.lines if not line.startswith("  ")] == [
        "Traceback (most recent call last):",
        "AttributeError: 'int' object has no attribute 'async'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        "ValueError: so",
    ]
    at = event.lines.index("    return x.async.y")
    assert event.lines[at + 1] == "           ^^^^^^^"
    (event,) = session.run("x = = 1")
    assert event.lines == ['  File "<shell 3>", line 1', "    x = = 1", "        ^", "SyntaxError: invalid syntax"]


def test_a_failure_says_where_in_the_users_code(session: Session) -> None:
    (event,) = session.run("mplogin.sync.login()")
    assert event.where == ""
    (event,) = session.run("def f(x):\n    return mplogin.sync.login(x)\n\nu = [\n    f(1)]")
    assert event.where == "<shell 2>, line 2, in f"
    (event,) = session.run_cell(Cell(Kind.PYTHON, "x = 1\nmplogin.sync.login()", 7), "nightly.py")
    assert event.where == "nightly.py, line 8"
    (event,) = session.run("/timeout x")
    assert event.where == ""
    (event,) = session.run("\nimport functools\nfunctools.reduce(lambda a, b: mplogin.sync.login(), [1, 2])")
    assert event.where == "<shell 4>, line 3, in <lambda>"


def test_arguments_are_checked_before_anything_is_sent(session: Session) -> None:
    error = refused(session, "mplogin.sync.login('only one')")
    assert "'password' is missing" in error.message
    assert "/check off" in error.hint
    assert list(session.run("/check off")) == [Said("arguments are sent as they are")]
    assert isinstance(refused(session, "mplogin.sync.login('only one')"), BrokerUnreachable)
    assert session.arguments["mplogin.sync.login"] == {}


def test_the_last_result_is_kept_and_shown_again(session: Session, tmp_path: Path) -> None:
    assert list(session.run("/json")) == []
    assert "no result yet" in refused(session, "/all").message
    value(session, "[1, 2]")
    list(session.run("None"))
    assert list(session.run("/table")) == [Value([1, 2], None)]
    assert session.form == "table"
    assert list(session.run("/all")) == [Paged([1, 2])]
    assert list(session.run("/copy")) == [Copied("[\n  1,\n  2\n]")]
    file = tmp_path / "it.json"
    list(session.run(f"/save {file}"))
    assert file.read_text() == "[\n  1,\n  2\n]\n"
    assert "is there already" in refused(session, f"/save {file}").message
    value(session, "{'ü': {1, 2}}")
    assert list(session.run(f"/save '{file}' --force")) == [Said(f"saved in {file}")]
    assert "ü" not in file.read_text()
    assert "No such file or directory" in refused(session, f"/save {tmp_path}/no/it.json").message
    assert "name of a file" in refused(session, "/save").message


def test_other_commands_are_those_of_the_command_line(session: Session, line: CommandLine) -> None:
    assert list(session.run("  /tail 'a b' --limit 3")) == []
    assert list(session.run("mplogin.sync.odd?")) == []
    list(session.run("/context show"))
    assert line.ran == [
        (["tail", "a b", "--limit", "3"], None),
        (["describe", "mplogin.sync.odd"], None),
        (["context", "show"], None),
    ]
    assert refused(session, "/tial").hint == "did you mean /tail?"
    assert "close the quotes" in refused(session, "/tail 'a").hint
    assert refused(session, "/context nowhere").message.startswith("there is no context 'nowhere'")
    (helped,) = session.run("/help")
    assert all(f"/{name} " in helped.text for name in session.commands.names())
    assert {"tail", "export", "quit"} <= session.commands.names().keys()


def test_a_command_works_in_the_sessions_context_whatever_is_chosen_elsewhere(
    session: Session, line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(session.run("/tail"))
    monkeypatch.setenv("MP_CONTEXT", "production")
    list(session.run("/tail"))
    assert line.ran == [(["tail"], None), (["tail"], "local")]


def test_a_command_may_be_given_what_a_name_stands_for(session: Session, line: CommandLine) -> None:
    list(session.run("u = {'id': 'x y', 'n': [7]}"))
    list(session.run("""/tail {u['id']} {u["n"][0]} '{"a": 1}' {} '{u}' x{u} {u["n"]}"""))
    assert line.ran == [(["tail", "x y", "7", '{"a": 1}', "{}", "{u}", "x{u}", "[7]"], None)]
    (event,) = session.run("/tail {nothing.here}")
    assert isinstance(event, Raised)


def test_questions_about_the_users_own(session: Session) -> None:
    list(session.run("def f(a, b=1):\n    'Doc.'\nu = {'a': 1}\n"))
    (told,) = session.run("f?")
    assert told.text.startswith("f(a, b=1)\nf: function\n")
    assert told.text.endswith("\n\nDoc.")
    assert list(session.run("?u")) == [Text("u: dict\n{'a': 1}")]
    (event,) = session.run("nothing?")
    assert isinstance(event, Raised)


@pytest.mark.parametrize(
    ("text", "code"), [("/quit", 0), ("/exit", 0), ("raise SystemExit", 0), ("quit", 0), ("exit(3)", 3)]
)
def test_leaving(session: Session, text: str, code: int) -> None:
    assert list(session.run("import sys\nexit = sys.exit")) == []
    assert list(session.run(text)) == [Leave(code)]
    assert list(session.run("exit('why not')")) == [Said("why not"), Leave(1)]


def test_timeouts(session: Session) -> None:
    assert list(session.run("/timeout 2.5")) == [Said("a call waits 2.5 s for its result")]
    for wrong in ("0", "-1", "x", "nan", "1e9"):
        assert isinstance(refused(session, f"/timeout {wrong}"), UsageError)
    assert session.timeout == 2.5


def test_what_was_typed_is_remembered(session: Session) -> None:
    for text in ("u = 1", "1 / 0", "u"):
        list(session.run(text))
    (told,) = session.run("/history")
    assert told.text == "   1  u = 1\n   2  1 / 0\n   3  u"
    (found,) = session.run("/history 0")
    assert found.text == "   2  1 / 0"
    assert [(one.text, one.failed, one.value) for one in session.log] == [
        ("u = 1", "", None),
        ("1 / 0", "raised ZeroDivisionError", None),
        ("u", "", 0),  # only what an export needs
    ]


def test_the_time_that_a_person_takes_to_answer_is_not_the_calls(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mp"
    folder.mkdir()
    (folder / "config.toml").write_text(
        '[context.careful]\nsafety = "confirm"\nsync_url = "amqp://127.0.0.1:1"\nasync_url = "amqp://127.0.0.1:1"\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    clock, thought = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + thought[0])

    class Person(Quiet):
        @staticmethod
        def ask(question: str) -> bool:
            thought[0] += 5000
            return "login" in question

    session.front = Person()
    list(session.run("/context careful"))
    for task, error in (("mplogin.sync.login('a', 'b')", BrokerUnreachable), ("mpother.sync.x()", SafetyRefusal)):
        (event,) = session.run(task)
        assert isinstance(event, Failure)
        assert isinstance(event.error, error)
        assert 0 < event.seconds < 5000
        assert 0 < session.latency < 5000
