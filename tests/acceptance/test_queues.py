"""Queues from outside: a running platform, a task that fails, and a person at a terminal who looks, removes, undoes."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from terminal import ENTER, Terminal, ctrl

Open = Callable[..., Terminal]
Run = Callable[..., subprocess.CompletedProcess[str]]
TASK = "mplogin.async.send_welcome_email"


class Shop:
    """A platform that runs, with one dead letter in it."""

    def __init__(self, folder: Path, mp: Run, env: dict[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.mp = mp
        self._env = env
        self._stack = stack

    def open(self, *argv: str, columns: int = 80) -> Terminal:
        return self._stack.enter_context(Terminal(["mp", *argv], self.folder, self._env, columns, 40))

    def fail(self) -> None:
        """Send a task that fails, and wait until it is a dead letter."""
        before = self.dead()
        sent = self.mp("call", "--no-check", TASK, "user_id=u1", "email=a@b.c", "password=hunter2")
        assert sent.returncode == 0, sent.stderr
        deadline = time.monotonic() + 40
        while self.dead() <= before:
            assert time.monotonic() < deadline

    def dead(self) -> int:
        (row,) = json.loads(self.mp("queues", "mplogin.dead").stdout)
        return row["ready"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory, mp_at, environment_at) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("queues")
    mp = mp_at(folder)
    assert mp("new", "service", "mplogin", "--example", "login").returncode == 0
    up = mp("up", "-d", "--broker", "embedded")
    assert up.returncode == 0, up.stderr
    with ExitStack() as stack:
        yield Shop(folder, mp, environment_at(folder), stack)
    assert mp("down").returncode == 0


@pytest.mark.parametrize("columns", [40, 80])
def test_the_table_fits_and_is_redrawn_in_place(shop: Shop, columns: int) -> None:
    shown = shop.open("queues", "--watch", "--every", "0.2", columns=columns)
    shown.see("mplogin.async")
    before = shop.dead()
    shop.fail()
    row = re.compile(rf"mplogin\.dead .*\b{before + 1}\b")
    shown.see(lambda: row.search(shown.text))
    assert shown.text.count("mplogin.dead") == 1
    assert ("async" in shown.text.replace("mplogin.async", "")) == (columns == 80)
    shown.send(ctrl("c"))
    assert shown.wait() == 0


def test_why_it_died_and_what_a_look_costs(shop: Shop) -> None:
    shop.fail()
    listed = shop.open("dead", columns=40)
    assert listed.wait() == 0
    assert TASK in listed.text
    assert "TypeError" in listed.text
    # The line may break anywhere: how long it is depends on how long ago the first one died.
    short = re.search(r"newest ?([0-9a-f]{8})", listed.text.replace("\n", ""))[1]
    whole = shop.open("dead", "show", short, columns=100)
    assert whole.wait() == 0
    assert "rejected in mplogin.async" in whole.text
    assert "unexpected keyword argument 'password'" in whole.text
    assert "Traceback" in whole.text
    assert "hunter2" not in whole.text
    looked = shop.open("peek", "mplogin.dead", "-n", "1", columns=200)
    assert looked.wait() == 0
    assert "marked as redelivered" in looked.text
    assert "1 shown" in looked.text


def test_purge_asks_saves_and_can_be_undone(shop: Shop) -> None:
    shop.fail()
    count = shop.dead()
    refused = shop.open("purge", "mplogin.dead")
    refused.see("[y/N]")
    refused.send(ENTER)
    assert refused.wait() == 7
    interrupted = shop.open("purge", "mplogin.dead")
    interrupted.see("[y/N]")
    interrupted.send(ctrl("c"))
    assert interrupted.wait() == 130
    interrupted.see("nothing was changed")
    assert shop.dead() == count
    purged = shop.open("purge", "mplogin.dead", columns=200)
    purged.see("of context local? [y/N]")
    purged.send("y" + ENTER)
    assert purged.wait() == 0
    assert f"{count} removed from mplogin.dead" in purged.text
    assert shop.dead() == 0
    (file,) = (shop.folder / ".mp" / "purged").iterdir()
    again = re.search(r"mp (replay .*) --keep-id", purged.text)[1].split()
    assert again == ["replay", str(file.relative_to(shop.folder))]
    assert shop.mp(*again, "--keep-id", "--yes").returncode == 0
    deadline = time.monotonic() + 40
    while shop.dead() < count:  # they fail again
        assert time.monotonic() < deadline


def test_without_a_terminal_it_wants_to_be_told(shop: Shop) -> None:
    if not shop.dead():
        shop.fail()
    done = shop.mp("purge", "mplogin.dead")
    assert (done.returncode, done.stdout) == (7, "")
    assert "add --yes" in done.stderr
    wrong = shop.mp("purge", "mplogin.ded", "--yes")
    assert wrong.returncode == 5
    assert "did you mean mplogin.dead?" in wrong.stderr
