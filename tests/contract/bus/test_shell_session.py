"""A session of the shell with real workers: calls, results, errors, handles, Ctrl-C, contexts, a broker that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from mpcli.bus.naming import Mode
from mpcli.cli.inside import Inside
from mpcli.errors import BrokerUnreachable, NoReply, RemoteError, SafetyRefusal, UnknownService, UnknownTask
from mpcli.platform.contexts import Ask
from mpcli.shell.events import Failure, Interrupted, Said, Value
from mpcli.shell.session import Session

SERVICES = ("mpalpha", "mpbeta")


class Front:
    """Keeps what it is told; answers what it is asked, where it can be."""

    def __init__(self, answers: list[bool] | None = None) -> None:
        self.notes: list[str] = []
        self.asked: list[str] = []
        self.awaited: list[str] = []
        self._answers = answers

    @property
    def ask(self) -> Ask | None:
        return None if self._answers is None else self._answer

    def _answer(self, question: str) -> bool:
        self.asked.append(question)
        return self._answers.pop(0)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def calling(self) -> AbstractContextManager[None]:
        return nullcontext()

    def waiting(self, name: object, task_id: str) -> AbstractContextManager[None]:
        self.awaited.append(f"{name} {task_id}")
        return nullcontext()


@pytest.fixture
def place(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside of any platform, the brokers in the environment."""
    for mode in Mode:
        monkeypatch.setenv(f"MP_{mode.upper()}_URL", served.urls[mode])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MP_CONTEXT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def session(place: Path) -> Iterator[Session]:
    session = Session(place, front=Front(), command_line=Inside())
    yield session
    session.close()


def value(session: Session, text: str) -> object:
    """What a cell comes to; it must not fail."""
    (event,) = session.run(text)
    assert isinstance(event, Value), event
    return event.value


def error(session: Session, text: str) -> Exception:
    (event,) = session.run(text)
    assert isinstance(event, Failure), event
    return event.error


def test_results_are_bound_and_used_again(session: Session) -> None:
    assert value(session, "mpalpha.sync.add(1, b=2)") == 3
    assert list(session.run("x = mpalpha.sync.echo({'n': _, 'text': 'mpalpha.async.note'})")) == []
    assert value(session, "mpalpha.sync.add(x['n'], 4)") == 7
    assert value(session, "[mpalpha.sync.add(i) for i in range(3)]") == [1, 2, 3]
    assert list(session.run("for i in range(2):\n    last = mpalpha.sync.add(i, _[-1])\n")) == []
    assert value(session, "last") == 4
    assert session.latency < 10
    (event,) = session.run("mpalpha.sync.echo(None)")
    assert event == Value(None, event.seconds)  # a call that returned nothing is told, other than a statement


def test_a_variable_goes_before_a_service_and_gives_way(session: Session) -> None:
    assert value(session, "mpalpha = 3\nmpalpha") == 3
    assert value(session, "del mpalpha\nmpalpha.sync.add(1)") == 2


def test_what_the_task_raises_is_told_and_the_session_goes_on(session: Session) -> None:
    raised = error(session, "mpalpha.sync.odd()")
    assert isinstance(raised, RemoteError)
    assert raised.type_name == "OddError"
    assert "just so" in raised.text
    (text,) = session.run("/traceback")
    assert "raise OddError" in text.text
    assert value(session, "mpalpha.sync.add(1)") == 2
    # It can be caught, as any error.
    code = "try:\n    mpalpha.sync.odd()\nexcept Exception as e:\n    caught = e.type_name\n"
    assert list(session.run(code)) == []
    assert session.variables["caught"] == "OddError"


def test_what_does_not_exist_is_told_with_what_was_meant(session: Session) -> None:
    unknown = error(session, "mpalpha.sync.ad(1)")
    assert isinstance(unknown, UnknownTask)
    assert "mpalpha.sync.add" in unknown.hint
    meant = error(session, "mpalpha.async.notte('x')")
    assert isinstance(meant, UnknownTask)
    assert "mpalpha.async.note" in meant.hint
    assert isinstance(error(session, "mpnobody.sync.x()"), UnknownService)


def test_an_async_call_gives_a_handle(session: Session, served) -> None:
    handle = value(session, "h = mpalpha.async.note('from the shell')\nh")
    assert value(session, "h.wait(30).state") == "succeeded"
    assert str(handle) == handle.id
    assert repr(handle).startswith(f"mpalpha.async.note {handle.id}: succeeded in ")
    assert repr(handle.ended).startswith(f"succeeded {handle.id}, worker=mpalpha.async.")
    assert session.front.awaited == [f"mpalpha.async.note {handle.id}"]
    assert "from the shell" in served.notes()
    failed = error(session, "mpalpha.async.fail().wait(30)")
    assert isinstance(failed, RemoteError)
    assert failed.type_name == "ValueError"
    assert value(session, "mpalpha.async.note('x').id") != handle.id


def test_options_of_a_call(session: Session, served) -> None:
    assert value(session, "mpalpha.sync.add.with_options(timeout=30)(1, b=2)") == 3
    late = error(session, f"mpalpha.sync.hold.with_options(timeout=0.3)('late {served.kind}')")
    served.note(f"late {served.kind} is released")
    assert isinstance(late, NoReply)
    assert "in 0.3 s" in late.message
    begun = time.monotonic()
    later = value(session, "mpalpha.async.note.with_options(countdown=1.2)('later')")
    assert value(session, "_.wait(30).state") == "succeeded"
    assert time.monotonic() - begun > 1  # the delays of a broker are whole seconds
    assert later.ended.what == "succeeded"
    assert "later" in served.notes()
    waits = error(session, "mpalpha.async.note.with_options(countdown=60)('much later').wait(0.1)")
    assert isinstance(waits, NoReply)
    assert "may not begin before " in waits.message
    wrong = error(session, "mpalpha.sync.add.with_options(countdown=1)(1)")
    assert wrong.message.endswith("countdown, eta and expires are for async tasks")


def test_the_workers_signatures_are_known_once_they_were_asked(session: Session) -> None:
    assert "nobody here knows" in repr(value(session, "mpalpha"))
    # Outside of a platform it has to be said which services there are.
    value(session, "mpalpha.sync.add(1)")
    (event,) = session.run("mpalpha.sync.add(1, 2, 3)")
    assert isinstance(event, Failure)
    assert isinstance(event.error, RemoteError)  # the worker's own TypeError


def test_a_context_is_switched_and_holds(session: Session, place: Path, served) -> None:
    folder = place / "config" / "mp"
    folder.mkdir(parents=True)
    urls = "".join(f'{mode}_url = "{served.urls[mode]}"\n' for mode in Mode)
    (folder / "config.toml").write_text(
        f'[context.look]\nsafety = "readonly"\n{urls}\n[context.free]\n{urls}\n'
        f'[context.careful]\nsafety = "confirm"\n{urls}'
    )
    switched: list[str] = []
    session.on_switch = lambda: switched.append(session.context.name)
    assert list(session.run("/context look")) == [Said("in context look")]
    refused = error(session, "mpalpha.sync.add(1)")
    assert isinstance(refused, SafetyRefusal)
    assert "readonly" in refused.message
    list(session.run("/context careful"))
    assert isinstance(error(session, "mpalpha.sync.add(1)"), SafetyRefusal)  # nobody can be asked
    session.front = Front([True, False])
    assert value(session, "mpalpha.sync.add(1)") == 2
    assert isinstance(error(session, "mpalpha.async.note('not sent')"), SafetyRefusal)
    assert session.front.asked == [f"call mpalpha.{task} in context careful?" for task in ("sync.add", "async.note")]
    assert "not sent" not in served.notes()
    # A command of mp runs in the session's context too, and a wrong one changes nothing.
    assert isinstance(error(session, "/context nowhere"), Exception)
    assert session.context.name == "careful"
    list(session.run("/context free"))
    assert value(session, "mpalpha.sync.add(1)") == 2
    assert switched == ["look", "careful", "free"]


def test_a_connection_that_breaks_fails_what_is_under_way_and_is_made_anew(
    session: Session, served, until_true
) -> None:
    assert value(session, "mpalpha.sync.add(1)") == 2
    note = f"broken {served.kind}"

    def cut() -> None:
        until_true(lambda: note in served.notes(), "the task began")
        served.close_connections()

    cutter = threading.Thread(target=cut)
    cutter.start()
    broken = error(session, f"mpalpha.sync.hold.with_options(timeout=60)({note!r})")
    cutter.join(60)
    served.note(f"{note} is released")
    assert isinstance(broken, BrokerUnreachable)
    assert "whether mpalpha.sync.hold ran is not known" in broken.hint
    deadline = time.monotonic() + 60  # the workers have to come back too
    while not isinstance(next(iter(session.run("mpalpha.sync.add(1)"))), Value):
        assert time.monotonic() < deadline


# What is rightly said on a machine that is too busy: the workers have a moment to tell.
TOO_SLOW = ("not every worker could say", "could not be revoked")
INTERRUPTED = """
try:
    mpalpha.sync.hold.with_options(timeout=60)("{0}")
except KeyboardInterrupt as told:
    print(told, flush=True)
mpalpha.sync.add(20, 22)
"""


def test_ctrl_c_gives_the_call_up_and_says_what_becomes_of_it(place: Path, served, until_true) -> None:
    """And the session goes on."""
    deadline, notes = time.monotonic() + 60, (f"begun {n}" for n in count())
    while any(words in (line := interrupted(place, served, until_true, next(notes))) for words in TOO_SLOW):
        assert time.monotonic() < deadline, line
    assert "mpalpha.sync.hold had begun, runs on, and its result is lost; the worker mpalpha.sync." in line


def interrupted(place: Path, served, until_true, note: str) -> str:
    """What a shell says when Ctrl-C is pressed during a task that notes that it began; its next call is answered."""
    shell = subprocess.Popen(
        [sys.executable, "-m", "mpcli", "shell", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=place,
    )  # fmt: skip
    try:
        shell.stdin.write(INTERRUPTED.format(note))
        shell.stdin.close()
        shell.stdin = None
        until_true(lambda: note in served.notes(), "the task began")
        shell.send_signal(signal.SIGINT)
        line = shell.stdout.readline()
        assert shell.stdout.read() == "42\n"
        assert shell.wait(30) == 0
        return line
    finally:
        served.note(f"{note} is released")
        shell.kill()
        shell.communicate()


def test_ctrl_c_before_a_worker_has_begun_takes_the_task_back(session: Session, served, until_true) -> None:
    """Both processes of the worker are busy; the third task waits, is given up, and never runs."""
    with served.busy("back, one", "back, two"):
        deadline, attempts = time.monotonic() + 60, count(1)
        while any(words in (told := taken_back(session, served, until_true, next(attempts))) for words in TOO_SLOW):
            assert time.monotonic() < deadline, told
        assert told == "mpalpha.sync.slow had not begun and will not run, for it was revoked"
    assert value(session, "mpalpha.sync.add(1)") == 2  # it came behind the one that was taken back
    assert not [note for note in served.notes() if note.startswith("taken back")]


def taken_back(session: Session, served, until_true, attempt: int) -> str:
    """What the session says when Ctrl-C is pressed, again and again, while a task waits behind the two busy ones."""

    def press() -> None:
        until_true(lambda: served.queues(Mode.SYNC)["mpalpha.sync"] == 2 + attempt, "it waits in the queue")
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)

    session.interrupts.install()
    key = threading.Thread(target=press)
    try:
        key.start()
        (event,) = session.run(f"mpalpha.sync.slow.with_options(timeout=100)(0, 'taken back {attempt}')")
    finally:
        key.join(60)  # who presses late must not meet the handler that ends the tests
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert isinstance(event, Interrupted), event
    return event.text


@pytest.mark.parametrize(
    ("code", "moment", "fate"),
    [
        ("mpalpha.sync.add(1)", "OpenCaller._hand_over call", "mpalpha.sync.add "),
        ("mpalpha.async.note('handed over')", "OpenCaller._hand_over return", "mpalpha.async.note"),
        ("mpalpha.async.note('not sent')", "async_message call", "mpalpha.async.note was not sent"),
    ],
)
def test_ctrl_c_as_a_task_is_handed_over_says_what_becomes_of_it(session: Session, code, moment, fate) -> None:
    def press(frame: FrameType, event: str, _argument: object) -> None:
        if f"{frame.f_code.co_qualname} {event}" == moment:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    assert value(session, "mpalpha.sync.add(1)") == 2  # what is imported at the first call is there
    sys.setprofile(press)
    try:
        (event,) = session.run(code)
    finally:
        sys.setprofile(None)
    assert isinstance(event, Interrupted), event
    assert fate in event.text, event.text  # "... before the broker confirmed it" where that was quicker
    assert "async" not in code or "its id is" in event.text or "not sent" in event.text


def test_a_dead_broker_is_an_error_and_the_session_reconnects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpcli.brokers.embedded import DevBroker
    from mpcli.bus.topology import declare_topology

    broker = DevBroker(data=tmp_path / "data").start()
    try:
        for mode in Mode:
            monkeypatch.setenv(f"MP_{mode.upper()}_URL", broker.url)
        declare_topology(("mpalpha",), dict.fromkeys(Mode, broker.url))
        front = Front()
        session = Session(tmp_path, front=front)
        try:
            sent = value(session, "mpalpha.async.note('1')")
            assert front.notes == ["nobody is listening on mpalpha.async now: the message waits for a worker"]
            broker.stop()
            for text in ("mpalpha.async.note('2')", "mpalpha.sync.add(1)"):
                dead = error(session, text)
                assert isinstance(dead, BrokerUnreachable), dead
                assert dead.hint
            assert value(session, "1 + 1") == 2
            broker = DevBroker(port=broker.port, data=tmp_path / "data").start()
            assert value(session, "mpalpha.async.note('3')").state == "sent"
            assert sent.state == "sent"
        finally:
            session.close()
    finally:
        broker.stop()
