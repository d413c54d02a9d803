"""What a hostile sender puts into a message stays text: no command lets a control of it through to a terminal.

A new command that shows messages is one more line in `ON_FILE` or `ON_BROKERS`.
"""

import bz2
import json
import os
import pickle
import pty
import re
import subprocess
import sys
import threading
import unicodedata
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from mpcli.recording.format import DEAD, EVENT, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_QOS, QUEUE_BIND, QUEUE_DECLARE

DEADLINE = 120.0
NOT_FOUND = 5  # the exit code of what was looked for in vain
# A title, a colour that nothing of ours uses, a cleared screen; BEL, BS, CR, NUL, DEL, C1; bidirectional, invisible.
BAD = "\x1b]0;owned\x07\x1b[38;5;201m\x1b[2J\b\r\x00\x7f\x9b31m\x9d\u202e\u2066\u200f\u200b\u2060\u2028\ufeff\U000e0041"
NOT_UTF8 = b"\xff\xfe\x1b[2J\xc3"
ID = f"0f0f{BAD}"
PICKLE = "application/x-python-serialize"
TYPED = BAD.replace("\x00", "")  # what can stand on a command line
QUEUE = f"mplogin.async{TYPED}".replace("\r", "")  # which a broker takes out of the name that is declared
ODD = QUEUE.replace("[", "")  # a name and no pattern

ON_FILE = [
    ["record", "show", "FILE"],
    ["record", "show", "FILE", "--full"],
    ["record", "stat", "FILE"],
    ["record", "grep", ".", "FILE", "--full"],
    ["record", "diff", "FILE", "OTHER"],
    ["trace", "0f0f", "FILE"],
]
ON_BROKERS = [
    ["queues", ODD],
    ["peek", QUEUE, "--full"],
    ["peek", f"{TYPED}absent"],
    ["replay", "FILE", "--dry-run"],
    ["replay", QUEUE, "--dry-run"],
    ["move", QUEUE, "mplogin.dead", "--dry-run"],
    ["dead", "mplogin"],
    ["dead", "mplogin", "--events", "FILE"],
    ["dead", "show", "0f0f", "mplogin", "--full"],
    ["purge", QUEUE, "--where", 'args == "absent"', "--yes", "--backup", "copy"],
]


class _Stranger:
    def __reduce__(self):
        return (print, (BAD,))


def celery(args: object = (BAD,), kwargs: object = None, exchange: str = "mplogin", **headers: object) -> Message:
    """A message of protocol 2 with everything hostile that a name or a value can be."""
    fields = {"lang": BAD, "task": f"mplogin.async.{BAD}", "id": ID, "root_id": ID, "parent_id": None, "retries": 0}
    fields |= {"eta": BAD, "expires": BAD, "origin": BAD, "group": BAD, "argsrepr": BAD, "kwargsrepr": BAD}
    fields |= {BAD: BAD, "bytes": NOT_UTF8, "text": Typed("S", NOT_UTF8), "list": [BAD, {BAD: NOT_UTF8}]}
    chain = [{"task": BAD, "options": {"task_id": f"next{BAD}"}}]
    body = json.dumps([args, {BAD: [BAD]} if kwargs is None else kwargs, {"chain": chain}])
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": {**fields, **headers}}
    properties |= {"type": BAD, "app_id": BAD, "message_id": BAD, "correlation_id": ID, "reply_to": BAD}
    return Message.build(exchange, f"mplogin.async.{BAD}", properties, body.encode())


def with_body(body: bytes, **properties: object) -> Message:
    """The same with another body, and other properties."""
    picture = celery()
    return Message.build(picture.exchange, picture.routing_key, {**picture.properties, **properties}, body)


def deep_table(depth: int) -> dict[str, object]:
    table: dict[str, object] = {BAD: BAD}
    for _ in range(depth):
        table = {"t": table}
    return table


def messages() -> list[Message]:
    """All that a broker lets through."""
    first = {"task": f"mplogin.async.{BAD}", "id": ID, "args": [BAD], "kwargs": {BAD: BAD}, "retries": BAD}
    deaths = [{"reason": BAD, "queue": BAD, "exchange": BAD, "count": 3, "routing-keys": [BAD]}]
    bomb = celery().headers | {"compression": "application/x-gzip"}
    return [
        celery(),
        celery(args=BAD, kwargs=[BAD]),
        celery(args=["x" * 50_000 + BAD], deep=deep_table(50), wide={f"{n}{BAD}": n for n in range(300)}),
        celery(retries=BAD, eta=[BAD], id=NOT_UTF8, task=Typed("S", NOT_UTF8)),
        celery(**{"x-death": deaths, "x-first-death-reason": BAD}),
        with_body(json.dumps(first).encode(), headers={BAD: BAD}),
        with_body(NOT_UTF8 + BAD.encode(), content_type=BAD, content_encoding=BAD),
        with_body(BAD.encode(), content_type="text/plain"),
        with_body(f'["{BAD}'.encode()),
        with_body(b"[" * 100_000 + b"]" * 100_000),
        with_body(b"[[" + b"[" * 600 + b"]" * 600 + b"], {}, {}]"),  # too deep for what shows it, not for what reads it
        with_body(b"[[NaN, 1e999, " + b"9" * 10_000 + b"], {}, {}]"),
        with_body(
            pickle.dumps([(BAD, _Stranger()), {BAD: NOT_UTF8}, {}]), content_type="application/x-python-serialize"
        ),
        with_body(b"\x80\x04" + NOT_UTF8, content_type="application/x-python-serialize"),
        with_body(zlib.compress(b" " * 20_000_000), headers=bomb),
        with_body(bz2.compress(BAD.encode()), headers=bomb),
        with_body(BAD.encode(), headers=bomb | {"compression": BAD}),
        with_body(b"", headers={}),
    ]


def events() -> list[Message]:
    """What a worker, or somebody who says so, tells."""
    common = {"uuid": ID, "hostname": BAD, "timestamp": BAD, "name": BAD, "root_id": BAD, "parent_id": BAD}
    told = [
        {"type": "task-received", **common},
        {"type": "task-started", **common, "timestamp": 1e400},
        {"type": "task-failed", **common, "exception": BAD, "traceback": f"{BAD}\n{BAD}", "runtime": BAD},
        {"type": "task-succeeded", **common, "result": BAD, "runtime": 1e400},
        {"type": f"task-{BAD}", **common},
    ]
    bodies = [json.dumps(told).encode(), NOT_UTF8, b"[" * 100_000, b"7", b'{"type": 7}']
    return [Message.build("celeryev", f"task.{BAD}", {"type": BAD}, body) for body in bodies]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, also with what no broker lets through: properties that cannot be read."""
    folder = tmp_path_factory.mktemp("hostile")
    damaged = Message(BAD, BAD, b"\xff\xf0" + NOT_UTF8, BAD.encode())
    too_deep = Message.build("mplogin", BAD, {"headers": deep_table(100)}, b"")
    entries = [Entry(TASK, 1.0, "sync", message) for message in (*messages(), damaged, too_deep)]
    entries += [Entry(DEAD, 2.0, "async", celery()), *(Entry(EVENT, 3.0, "async", event) for event in events())]
    entries += [Entry(TASK, 1.0, BAD, celery()), Entry("gap", 1e300, "sync", fields={BAD: BAD, "seconds": BAD})]
    for name, some in (("FILE", entries), ("OTHER", [Entry(TASK, 9.0, "sync", celery(lang="other")), *entries[3:]])):
        with Writer(folder / name) as writer:
            writer.write(some)
    return folder


def unsafe(shown: bytes) -> set[str]:
    """What must not reach a terminal; bytes that are no UTF-8 are an error of their own."""
    text = shown.decode().replace("\r\n", "\n").replace("\t", " ")
    kept = "\n\u200c\u200d"
    return {hex(ord(c)) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in kept}


def in_terminal(argv: list[str], cwd: Path, tapping: Callable[[], None] | None = None, **more: str) -> bytes:
    """All that the command shows in a terminal of 100 columns; `tapping` is called when it says that it does."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", **more}
    process = subprocess.Popen(
        [sys.executable, "-m", "mpcli", *argv],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        cwd=cwd,
    )
    os.close(follower)
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
            if tapping is not None and b"tapping" in shown:
                tapping()
                tapping = None
    except OSError:
        pass  # Linux's end of a pseudo-terminal
    finally:
        code = process.wait(DEADLINE)
        timer.cancel()
        os.close(leader)
    assert code >= 0, f"{argv} did not end: {shown[-2000:]}"
    return shown


def check_without_colour(argv: list[str], cwd: Path, **environment: str) -> None:
    """Nothing hostile in a terminal that has no colours, and no defect on the way."""
    shown = in_terminal(argv, cwd, TERM="dumb", NO_COLOR="1", **environment)
    assert not unsafe(shown), (argv, shown[-2000:])
    assert len(shown) > 20, argv
    assert b"defect of mp" not in shown, (argv, shown[-2000:])


def check_with_colour(argv: list[str], cwd: Path, **environment: str) -> None:
    """Nothing but the colours that are ours."""
    shown = in_terminal(argv, cwd, TERM="xterm-256color", **environment)
    assert b"\x1b[38;5;201m" not in shown, argv
    assert not unsafe(re.sub(rb"\x1b\[[0-9;]*m", b"", shown)), (argv, shown[-2000:])


def check_in_pipe(argv: list[str], cwd: Path, **environment: str) -> None:
    """JSON in pure ASCII on stdout, text on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "mpcli", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        env={**os.environ, **environment},
        cwd=cwd,
        check=False,
    )
    assert not [byte for byte in done.stdout if not 0x20 <= byte < 0x7F and byte != 0x0A], argv
    assert not unsafe(done.stderr), argv
    assert b"defect of mp" not in done.stderr, (argv, done.stderr)
    assert done.stdout or done.returncode == NOT_FOUND, (argv, done.stderr)
    for line in done.stdout.decode().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("argv", ON_FILE, ids=" ".join)
def test_a_hostile_recording(folder, argv) -> None:
    for check in (check_with_colour, check_in_pipe):
        check(argv, folder)


@pytest.mark.timeout(400)  # some forty runs of the program
def test_hostile_messages_in_queues_and_on_their_way(brokers, bus, folder) -> None:
    environment = {"MP_SYNC_URL": brokers.sync.url, "MP_ASYNC_URL": brokers.async_.url}
    for queue in (QUEUE, ODD):
        bus.async_.request(QUEUE_DECLARE, queue, False, True, False, False, False, {})
    bus.async_.request(QUEUE_BIND, QUEUE, "mplogin", "#", False, {})
    bus.async_.request(QUEUE_DECLARE, "mplogin.dead", False, True, False, False, False, {})
    bus.async_.request(QUEUE_BIND, "mplogin.dead", "mplogin.dead", "#", False, {})
    letters = [message.changed(exchange="mplogin.dead") for message in messages()]
    bus.publish(*messages(), *letters, connection=bus.async_)
    # What is shown does not depend on the broker, so each is asked for a half of it.
    checks = (check_with_colour, check_in_pipe) if brokers.kind == "embedded" else (check_without_colour,)
    for argv, check in product(ON_BROKERS, checks):
        check(argv, folder, **environment)

    def send() -> None:
        with connect(brokers.async_.url) as fresh:  # the other one was silent for long
            bus.publish(*messages(), *events(), celery(id="last", exchange="mplogin.dead"), connection=fresh)
            fresh.request(BASIC_QOS, 0, 1, False)  # answered behind them: who hangs up before may lose some

    if brokers.kind == "embedded":
        argv = ["trace", "0f0f", "--service", "mplogin", "--for", "3s"]
        shown = in_terminal(argv, folder, send, TERM="xterm-256color", **environment)
        assert b"\x1b[2K" in shown  # it was drawn again while it grew
        assert not unsafe(re.sub(rb"\r?\x1b\[(?:[0-9;]*m|\?25[hl]|1A|2K)", b"", shown)), shown[-2000:]
        return
    argv = ["tail", "mplogin", "--full", "--limit", str(len(messages()) + 1)]
    shown = in_terminal(argv, folder, send, TERM="dumb", **environment)
    assert not unsafe(shown), shown[-2000:]
    assert f"{len(messages()) + 1} messages".encode() in shown
