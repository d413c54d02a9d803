"""The installed `mp replay` at a terminal and in a pipe: questions, Ctrl-C, exit codes, hostile names."""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mpcli.cli.entry import main
from mpcli.wire.holding import hold
from mpcli.wire.message import Message

DEADLINE = 60.0
MP = str(Path(sys.executable).parent / "mp")
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e"
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command at a pseudo-terminal of so many columns."""

    def __init__(self, *argv: str, cwd: Path, columns: int = 100, **env: str) -> None:
        self.leader, follower = os.openpty()
        self.shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # what is read may end within a character
        self.process = subprocess.Popen(
            ["sh", "-c", f'stty cols {columns}; exec "$@"', "sh", MP, *argv],
            stdin=follower, stdout=follower, stderr=follower, cwd=cwd, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **env},
        )  # fmt: skip
        os.close(follower)

    def until(self, text: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self.read(), self.shown

    def read(self) -> bool:
        """Whether there may be more."""
        if select.select([self.leader], [], [], 0.2)[0]:
            try:
                data = os.read(self.leader, 65536)
            except OSError:
                return False  # Linux's end of a pseudo-terminal
            self.shown += self._decoder.decode(data)
        return True

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def end(self) -> int:
        deadline = time.monotonic() + DEADLINE
        while self.read():
            assert time.monotonic() < deadline, self.shown
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        """End it, if it runs yet."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        os.close(self.leader)


@pytest.fixture
def at_terminal(bus) -> Iterator[Callable[..., Terminal]]:
    """Start `mp` at a terminal, in the folder of the bus."""
    started: list[Terminal] = []

    def start(*argv: str, **options) -> Terminal:
        started.append(Terminal(*argv, cwd=bus.folder, **options))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def piped(bus, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MP, *argv],
        cwd=bus.folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={**os.environ, **env},
    )


def test_ctrl_c_says_how_to_go_on_and_nothing_is_sent_twice(bus, at_terminal) -> None:
    file = bus.record(*(bus.task(n) for n in range(200)))
    terminal = at_terminal("replay", file, "--rate", "20/s", "--yes")
    deadline = time.monotonic() + DEADLINE
    while bus.count("mplogin.async") < 5:
        assert terminal.read(), terminal.shown
        assert time.monotonic() < deadline, terminal.shown
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130, terminal.shown
    text = _COLOUR.sub("", terminal.shown)
    counts = re.search(r"200 selected = (\d+) confirmed \+ 0 returned \+ 0 refused \+ 0 skipped \+ (\d+) left", text)
    assert 0 < int(counts[1]) < 200
    assert int(counts[1]) + int(counts[2]) == 200
    assert f"go on with: mp replay {file} --resume" in text.replace("\r\n", "")
    assert piped(bus, "replay", file).returncode == 2
    done = piped(bus, "replay", file, "--resume")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["confirmed"], summary["before"], summary["left"]) == (200, int(counts[1]), 0)
    assert sorted(json.loads(message.body)[0][0] for message in bus.taken("mplogin.async")) == list(range(200))


def test_a_person_is_asked_and_may_say_no(bus, at_terminal) -> None:
    file = bus.record(*(bus.task(n) for n in range(11)))
    terminal = at_terminal("replay", file)
    terminal.until("replay 11 messages? [y/N]")
    terminal.type("n\n")
    assert terminal.end() == 7
    terminal = at_terminal("replay", file)
    terminal.until("replay 11 messages? [y/N]")
    for _ in range(3):  # one that comes in the moment before the read is noticed only when the read ends
        terminal.process.send_signal(signal.SIGINT)
        patience = time.monotonic() + 5
        while (more := terminal.read()) and time.monotonic() < patience:
            pass
        if not more:
            break
    assert terminal.end() == 130
    assert bus.count("mplogin.async") == 0
    assert not list(bus.folder.glob("*.replay"))
    terminal = at_terminal("replay", file)
    terminal.until("replay 11 messages? [y/N]")
    terminal.type("y\n")
    assert terminal.end() == 0, terminal.shown
    assert "11 confirmed" in terminal.shown


@pytest.fixture
def contexts(bus) -> None:
    urls = f'sync_url = "{bus.brokers.sync.url}"\nasync_url = "{bus.brokers.async_.url}"'
    tables = [
        f'[context.{name}]\n{urls}\nsafety = "{safety}"\n'
        for name, safety in (("staging", "free"), ("prod", "confirm"), ("museum", "readonly"))
    ]
    (bus.folder / "mp.toml").write_text("\n".join(tables))


@pytest.fixture
def here(bus, monkeypatch, capsys):
    """Run `mp` in this process, in a pipe as it were: its exit code, stdout and stderr."""
    monkeypatch.chdir(bus.folder)

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(list(argv))
        return code, *capsys.readouterr()

    return run


def test_careful_contexts_ask_or_refuse_also_without_a_terminal(bus, contexts, here) -> None:
    bus.kill(*(bus.task(n) for n in range(2)))
    for argv, expected in [
        (("replay", "mplogin.dead", "--context", "prod"), 7),
        (("replay", "mplogin.dead", "--context", "museum", "--yes"), 7),
        (("replay", "mplogin.dead", "--context", "museum", "--to", "staging", "--yes"), 7),
        (("move", "mplogin.dead", "mplogin", "--context", "prod"), 7),
    ]:
        code, _, said = here(*argv)
        assert code == expected, said
    with hold(bus.brokers.async_.url, "mplogin.dead") as holding:  # what was refused took nothing
        assert [message.redelivered for message in holding.take(2)] == [False, False]
    code, _, said = here("replay", "mplogin.dead", "--context", "museum", "--dry-run")
    assert code == 0, said
    bus.queue("limited", **{"x-queue-type": "quorum", "x-delivery-limit": 3, "x-dead-letter-exchange": "mplogin.dead"})
    looked = ("replay", "limited", "--broker", "async", "--dry-run", "--spend-delivery", "--context")
    assert [here(*looked, "museum")[0], here(*looked, "prod")[0], here(*looked, "prod", "--yes")[0]] == [7, 7, 0]
    bus.until("mplogin.dead", 2)
    code, out, said = here("replay", "mplogin.dead", "--context", "staging", "--to", "prod", "--yes")
    assert code == 0, said
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["plan", "summary"]
    assert len(bus.taken("mplogin.async")) == 2


def test_exit_codes_and_what_is_said(bus, here, monkeypatch) -> None:
    monkeypatch.setenv("VISUAL", "false")
    file = bus.record(bus.task(1), bus.task(2, "mplogin.nobody.x"))
    code, out, said = here("replay", file)
    assert code == 5
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["what"], line["id"]) for line in lines if line["kind"] == "not_sent"] == [
        ("returned", bus.task(2).headers["id"])
    ]
    assert "--resume" in said
    Path(f"{file}.replay").unlink()
    for argv, expected, words in [
        ((file, "--set", "nonsense"), 2, "no assignment"),
        ((file, "--rate", "fast"), 2, "not a rate"),
        ((file, "--to", "nowhere"), 2, "no context"),
        (("mpnothere",), 5, "no file here, and no queue"),
        ((file, "--edit"), 2, "nothing was sent"),
        ((file, "--resume", "--limit", "1"), 2, "--resume goes on with what"),
    ]:
        code, out, said = here("replay", *argv)
        assert (code, out) == (expected, ""), said
        assert words in said
    monkeypatch.setenv("MP_ASYNC_URL", "amqp://127.0.0.1:1/")
    assert here("replay", file)[0] == 6
    assert not list(bus.folder.glob("*.replay"))


def test_secrets_are_not_shown_by_name_or_by_place(bus, here) -> None:
    service = bus.folder / "mplogin"
    service.mkdir()
    (bus.folder / "mp.toml").touch()
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nasync = "mplogin:app"\n')
    (service / "mplogin.py").write_text("@app.task\ndef mail(password, other): ...\n")
    message = bus.task(1)
    body = json.dumps([["hunter2"], {"api_key": "hunter2"}, {}]).encode()
    file = bus.record(Message(message.exchange, message.routing_key, message.raw_properties, body))
    code, out, said = here("replay", file, "--dry-run")
    assert code == 0
    assert json.loads(out.splitlines()[1])["kwargs"] == {"api_key": "***"}
    assert "hunter2" not in out + said


def test_no_control_of_a_message_reaches_the_terminal(bus, at_terminal) -> None:
    hostile = bus.task(1, f"mplogin.async.x{HOSTILE}", headers={"id": HOSTILE, "expires": HOSTILE})
    lost = bus.task(2, f"mplogin.nobody.x{HOSTILE}", headers={HOSTILE: HOSTILE, "eta": HOSTILE})
    file = bus.record(hostile, lost)
    for argv in (("--dry-run",), ("--yes",)):
        terminal = at_terminal("replay", file, *argv, columns=40, NO_COLOR="1")
        terminal.end()
        assert "owned" in terminal.shown
        # The bar moves the cursor itself; what came from the broker must not.
        assert not [one for one in ("\x1b]", "\x07", "\x9b", "\u202e") if one in terminal.shown]
    assert bus.count("mplogin.async") == 1


def test_terminated_it_can_be_resumed(bus) -> None:
    file = bus.record(*(bus.task(n) for n in range(100)))
    process = subprocess.Popen([MP, "replay", file, "--rate", "5/s"], cwd=bus.folder, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE
    while not bus.count("mplogin.async") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == -signal.SIGTERM
    assert piped(bus, "replay", file, "--resume").returncode == 0
    assert {json.loads(message.body)[0][0] for message in bus.taken("mplogin.async")} == set(range(100))


def test_ctrl_c_while_it_waits_for_outcomes_still_sums_up(bus, at_terminal) -> None:
    file = bus.record(bus.task(1), bus.task(2))
    terminal = at_terminal("replay", file, "--wait", "--yes", NO_COLOR="1")
    deadline = time.monotonic() + DEADLINE
    while bus.count("mplogin.async") < 2 or list(bus.folder.glob("*.replay")):
        assert terminal.read(), terminal.shown
        assert time.monotonic() < deadline, terminal.shown
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130, terminal.shown
    assert "2 selected = 2 confirmed + 0 returned" in terminal.shown
    assert "--resume" not in terminal.shown
