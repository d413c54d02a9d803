"""`mp shell` at a terminal, driven by keys: what the screen shows is asserted. On both brokers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from terminal import BACKSPACE, ENTER, TAB, UP, Terminal, ctrl

Shop = Callable[..., subprocess.CompletedProcess[str]]
Open = Callable[..., Terminal]


@pytest.fixture
def opened(shop: Shop, tmp_path: Path, environment_at: Callable[..., dict[str, str]]) -> Iterator[Open]:
    """Open a shell in the running platform, with a HOME that is this test's own."""
    with ExitStack() as stack:

        def open_(*arguments: str, columns: int = 80, lines: int = 24, **more: str) -> Terminal:
            env = environment_at(tmp_path, **more)
            folder = shop.folder  # type: ignore[attr-defined]
            return stack.enter_context(Terminal(["mp", "shell", *arguments], folder, env, columns, lines))

        yield open_


def _ready(shell: Terminal, workers: int = 4) -> Terminal:
    shell.see(lambda: f"sync ● async ● │ {workers} workers" in shell.bar)
    return shell


def test_complete_call_bind_reuse_and_fail(opened: Open) -> None:
    shell = _ready(opened(columns=100))
    email = f"{uuid.uuid4().hex[:8]}@example.org"
    shell.send("mplre")
    shell.see("mplogin.sync.register  (user_obj: dict")
    shell.see("Register a user")
    shell.send(TAB)
    shell.see("local> mplogin.sync.register(")
    shell.see("user_obj=")  # what it takes is offered at once
    assert "mplogin.sync.register(user_obj: dict" in shell.lines[-2]
    shell.send(f'user_obj={{"email": "{email}"}})')
    shell.send(ENTER)
    shell.see(f"'email': '{email}'")
    shell.see(lambda: " ms │" in shell.bar)  # how long it took

    shell.send("u = _" + ENTER)
    shell.send('u["wa')
    shell.see("wallet_id  str")
    shell.send(ctrl("c"))
    shell.send('mpwallet.sync.balance(wallet_id=u["wallet_id"])' + ENTER)
    shell.see("'currency': 'EUR'")

    shell.send(f'mplogin.sync.register(user_obj={{"email": "{email}"}})' + ENTER)
    shell.see("EmailTaken")
    shell.send("1 + 41" + ENTER)
    shell.see(lambda: "42" in shell.lines)


def test_async_tasks_blocks_and_questions(opened: Open) -> None:
    shell = _ready(opened(columns=100, lines=40))
    shell.send('mplogin.async.send_welcome_email(email="ada@example.org", user_id="1")' + ENTER)
    shell.see(lambda: re.search(r"send_welcome_email [0-9a-f-]{36}: ", shell.text))
    shell.send("_.wait()" + ENTER)
    shell.see(lambda: shell.text.count("local>") >= 3 and shell.line == "local>")
    shell.send("for number in range(2):" + ENTER)
    shell.send("print(number * 21)" + ENTER)
    shell.see(".     print(number * 21)")  # indented by the shell
    shell.send(ENTER)
    shell.see(lambda: "21" in shell.lines)
    shell.send("mplogin.sync.register?" + ENTER)
    shell.see("Register a user")
    shell.see("where     mplogin/mplogin/sync_tasks.py")


def test_ctrl_c_ends_the_call_and_never_the_session(opened: Open, shop: Shop) -> None:
    shell = _ready(opened("--timeout", "90", columns=100))
    worker = _pid(shop, "mpwallet.sync")
    os.kill(worker, signal.SIGSTOP)
    try:
        shell.send('mpwallet.sync.balance(wallet_id="none")' + ENTER)
        shell.see("worker is listening")  # the wait tells what the worker does
        shell.send(ctrl("c"))
        shell.see("interrupted")
        shell.send(ctrl("c") * 3)
    finally:
        os.kill(worker, signal.SIGCONT)
    shell.send("6 * 7" + ENTER)
    shell.see(lambda: "42" in shell.lines and shell.line == "local>")
    shell.send(ctrl("d"))
    assert shell.wait() == 0


def test_what_is_typed_while_a_call_waits_is_kept_and_not_shown(opened: Open, shop: Shop) -> None:
    shell = _ready(opened("--timeout", "90", columns=100))
    worker = _pid(shop, "mpwallet.sync")
    os.kill(worker, signal.SIGSTOP)
    try:
        shell.send('"own" + "er" in mpwallet.sync.open(owner="ada")' + ENTER)
        shell.see("worker is listening")
        assert _heard_by(shell.process.pid) == [shell.process.pid]  # Ctrl-C finds none but the thread that waits
        shell.send("6 * 7" + ENTER + ctrl("d"))
        shell.see("worker is listening")
        assert "6 * 7" not in shell.text
    finally:
        os.kill(worker, signal.SIGCONT)
    assert shell.wait() == 0
    assert "local> 6 * 7\n42\n" in shell.text


def _heard_by(pid: int) -> list[int]:
    """The threads of a process that take its SIGINT."""
    blocked = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread may end while it is looked at
            blocked[int(task.name)] = int((task / "status").read_text().partition("SigBlk:")[2].split()[0], 16)
    assert len(blocked) > 4
    return [task for task, signals in blocked.items() if not signals & 1 << (signal.SIGINT - 1)]


def test_ctrl_c_in_a_command_and_in_code_leads_back_to_the_prompt(opened: Open) -> None:
    shell = _ready(opened(columns=100))
    shell.send("/tail mpwallet" + ENTER)
    shell.see("tapping mpwallet")
    shell.send(ctrl("c"))
    shell.see("0 messages, 0 outcomes, 0 dropped")
    shell.send("import time; print('be' + 'gun'); time.sleep(600)" + ENTER)
    shell.see("begun")
    shell.send(ctrl("c"))
    shell.see("interrupted")
    shell.send("/queues mpwallet" + ENTER)
    shell.see("mpwallet.dead")
    shell.send("6 * 7" + ENTER)
    shell.see(lambda: "42" in shell.lines and shell.line == "local>")


def test_a_broker_that_is_killed_and_comes_back(
    opened: Open,
    shop: Shop,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    environment_at: Callable[..., dict[str, str]],
    run_folder: Path,
) -> None:
    kind = request.node.callspec.params["shop"]
    call = 'mpwallet.sync.open(owner="ada")' + ENTER
    with BrokerProcess(kind, tmp_path / "broker", {"MP_TEST_RUN": str(run_folder)}) as broker:
        worker = subprocess.Popen(
            ["mp", "worker", "mpwallet.sync", "-c", "1"],
            cwd=shop.folder,  # type: ignore[attr-defined]
            env=environment_at(tmp_path, MP_SYNC_URL=broker.url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            shell = _ready(opened(MP_SYNC_URL=broker.url, columns=100, lines=40), workers=3)
            shell.send(call)
            shell.see(lambda: shell.text.count("'owner': 'ada'") == 1)
            broker.kill()
            shell.see(lambda: "sync ✗ async ●" in shell.bar)
            shell.send(call)
            shell.see(lambda: "connection refused" in shell.text and shell.line == "local>")
            told = [line for line in shell.lines[: shell.screen.cursor.y] if line][-2:]
            assert re.fullmatch(r"mp: no connection to 127.0.0.1:\d+: connection refused", told[0]), shell.text
            assert told[1].startswith("    MP_SYNC_URL names it: is it running"), shell.text
            broker.start()
            _ready(shell, workers=3)
            shell.send(call)
            shell.see(lambda: shell.text.count("'owner': 'ada'") == 2)
        finally:
            worker.terminate()
            worker.wait(60)


def test_contexts(opened: Open, shop: Shop, tmp_path: Path) -> None:
    state = json.loads((shop.folder / ".mp" / "state.json").read_text())  # type: ignore[attr-defined]
    config = tmp_path / ".config" / "mp"
    config.mkdir(parents=True)
    urls = "".join(f'{mode}_url = "{url}"\n' for mode, url in state["urls"].items())
    (config / "config.toml").write_text(
        f'[context.staging]\n{urls}safety = "confirm"\n[context.prod]\n{urls}safety = "readonly"\n'
    )
    shell = _ready(opened())
    shell.send("/context staging" + ENTER)
    shell.see("staging(confirm)>")
    shell.see(lambda: " staging asks first │ sync ● async ● │ 4 workers" in shell.bar)
    shell.send(UP + "1")
    shell.see(lambda: shell.line == "staging(confirm)> 1")  # its history is its own
    typed = tmp_path / "typed"
    wait = f"from os import path\nprint('be' + 'gun')\nwhile not path.exists('{typed}'): pass\n"
    shell.send(BACKSPACE + f"\x1b[200~{wait}mpwallet.sync.open(owner='asked')\x1b[201~" + ENTER)
    shell.see("begun")
    shell.send("y" + ENTER)  # before the question: it is no answer to it
    shell.see(lambda: re.search(r"begun\s*y", shell.text))
    typed.touch()
    shell.see("call mpwallet.sync.open in context staging? [y/N]")
    shell.send(ctrl("d"))
    shell.see(lambda: any(line.startswith("mp: not confirmed") for line in shell.lines))
    shell.send('mpwallet.sync.open(owner="asked")' + ENTER)
    shell.see(lambda: shell.text.count("[y/N]") == 2)
    shell.send("y" + ENTER)
    shell.see("'owner': 'asked'")
    shell.send("/context prod" + ENTER)
    shell.see("prod(readonly)>")
    shell.send('mpwallet.sync.open(owner="asked")' + ENTER)
    shell.see("context prod is readonly")
    shell.send("/context nowhere" + ENTER)
    shell.see("there is no context 'nowhere'")


def test_a_worker_that_starts_or_stops_shows_up(
    opened: Open, shop: Shop, environment_at: Callable[..., dict[str, str]]
) -> None:
    shell = _ready(opened())
    worker = subprocess.Popen(
        ["mp", "worker", "mpwallet.async", "-c", "1"],
        cwd=shop.folder,  # type: ignore[attr-defined]
        env=environment_at(shop.folder),  # type: ignore[attr-defined]
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        shell.see(lambda: "5 workers" in shell.bar)
    finally:
        worker.terminate()
        worker.wait(60)
    shell.see(lambda: "4 workers" in shell.bar)


def _pid(shop: Shop, name: str) -> int:
    rows = json.loads(shop("ps", "--json").stdout)["processes"]
    return next(row["pid"] for row in rows if row["name"] == name)
