"""A recording survives what happens to files: crashes, a second run, a second writer, hostile content."""

import contextlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import UsageError
from mpcli.recording.format import DROPPED, GAP, TASK, DamagedLine, Entry, NotARecording, decode_line, encode_entry
from mpcli.recording.reader import Reader
from mpcli.recording.writer import Writer
from mpcli.wire.message import Message

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\x7f\u2028\ud800".encode("utf-8", "surrogatepass").decode(
    "utf-8", "surrogateescape"
)


def message(number: int, body: bytes = b"[[], {}, {}]") -> Message:
    return Message.build("mplogin", f"mplogin.sync.task_{number}", {"headers": {"n": number}}, body)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "messages.mprec"


def record(path: Path, *numbers: int) -> None:
    with Writer(path) as writer:
        writer.write_messages(TASK, "sync", 1.0, [message(number) for number in numbers])


def numbers(path: Path) -> list[int]:
    return [entry.message.headers["n"] for entry in Reader(path)]


def test_nobody_else_can_read_it(path) -> None:
    old = os.umask(0)
    try:
        record(path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_run_appends_and_makes_it_private(path) -> None:
    record(path, 1, 2)
    path.chmod(0o644)
    record(path, 3)
    assert numbers(path) == [1, 2, 3]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_wherever_a_crash_cuts_it_only_the_last_line_is_lost(path) -> None:
    record(path, 1, 2)
    whole = path.read_bytes()
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for cut in range(second, len(whole) - 1):
        path.write_bytes(whole[:cut])
        reader = Reader(path)
        assert [entry.message.headers["n"] for entry in reader] == [1]
        assert (reader.damaged, reader.torn) == ([], cut > second)
    path.write_bytes(whole[:-1])  # all but the line end
    assert numbers(path) == [1, 2]


@pytest.mark.parametrize("cut", [5, 1])
def test_appending_to_a_torn_file_loses_nothing_else(path, cut) -> None:
    record(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-cut])
    record(path, 3)
    reader = Reader(path)
    found = [entry.message.headers["n"] for entry in reader]
    assert found == ([1, 3] if cut == 5 else [1, 2, 3])
    assert reader.damaged == ([3] if cut == 5 else [])


def test_killed_at_once_it_loses_nothing_that_was_written(path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from mpcli.recording.writer import Writer; from mpcli.wire.message import Message\n"
        "writer = Writer(Path(sys.argv[1]))\n"
        "for n in range(50): writer.write_messages('task', 'sync', 1.0, [Message('e', str(n), bytes(2), b'')])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    assert [entry.message.routing_key for entry in Reader(path)] == [str(n) for n in range(50)]


def test_a_file_of_something_else_is_never_touched(path) -> None:
    path.write_text("my diary\n")
    with pytest.raises(UsageError, match="not a recording"):
        Writer(path)
    assert path.read_text() == "my diary\n"
    with pytest.raises(NotARecording):
        Reader(path)
    with pytest.raises(UsageError, match="regular file"):
        Writer(Path("/dev/null"))


def test_two_writers_do_not_mix(path) -> None:
    with Writer(path), pytest.raises(UsageError, match="another process"):
        Writer(path)


def test_a_newer_version_is_refused_and_a_newer_kind_of_line_is_skipped(path) -> None:
    record(path, 1)
    with path.open("ab") as file:
        file.write(b'{"kind": "weather", "at": 1, "broker": "sync"}\n')
    record(path, 2)
    assert numbers(path) == [1, 2]
    path.write_text('{"format": "mp-recording", "version": 2}\n')
    with pytest.raises(NotARecording, match="version 2"):
        Reader(path)
    with pytest.raises(UsageError):
        Writer(path)


def test_what_is_missing_is_told_in_the_file(path) -> None:
    with Writer(path) as writer:
        writer.write(
            [Entry(GAP, 5.0, "sync", fields={"seconds": 2.5}), Entry(DROPPED, 6.0, "async", fields={"count": 7})]
        )
    gap, dropped = Reader(path)
    assert (gap.kind, gap.at, gap.broker, gap.fields) == (GAP, 5.0, "sync", {"seconds": 2.5})
    assert (dropped.kind, dropped.fields) == (DROPPED, {"count": 7})


def test_a_hostile_message_is_harmless_in_the_file_and_whole_behind_it(path) -> None:
    hostile = Message.build(
        HOSTILE, HOSTILE, {"type": HOSTILE, "headers": {HOSTILE: HOSTILE}}, HOSTILE.encode("utf-8", "surrogateescape")
    )
    text = Message("e", "k", bytes(2), "\x1b[2J\u202e\x7f".encode())
    with Writer(path) as writer:
        writer.write_messages(TASK, "sync", 1.0, [hostile, text])
    raw = path.read_bytes()
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in raw)
    assert [entry.message for entry in Reader(path)] == [hostile, text]
    assert json.loads(raw.splitlines()[2])["body"] == "\x1b[2J\u202e\x7f"


WHOLE = {"kind": TASK, "at": 1, "broker": "sync", "exchange": "e", "routing_key": "k", "properties": "AAA=", "body": ""}


def test_the_whole_line_of_the_next_test_is_one() -> None:
    assert decode_line(json.dumps(WHOLE).encode()).message == Message("e", "k", bytes(2), b"")


@pytest.mark.parametrize(
    "change",
    [
        {"properties": "AA"},
        {"properties": "AA=="},
        {"properties": None},
        {"body": None},
        {"body": None, "body64": "!"},
        {"exchange": 1},
        {"broker": "\x1b[2J"},
        {"at": float("nan")},
        {"at": float("inf")},
        {"at": 10**400},
        {"routing_key": None},
        {"at": None},
        {"at": "soon"},
    ],
)
def test_a_line_with_a_broken_field_is_damaged(change) -> None:
    with pytest.raises(DamagedLine):
        decode_line(json.dumps({**WHOLE, **change}).encode())


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b'{"kind": "task"}', b"[" * 100_000])
def test_a_torn_line_is_damaged(line) -> None:
    with pytest.raises(DamagedLine):
        decode_line(line)


@given(st.binary(max_size=200))
def test_no_line_makes_the_reader_fail(line) -> None:
    with contextlib.suppress(DamagedLine, NotARecording):
        decode_line(line)


def test_one_line_for_each_entry() -> None:
    line = encode_entry(Entry(TASK, 1700000000.25, "sync", message(1, b"a\nb")))
    assert line.count(b"\n") == 1
    assert json.loads(line)["at"] == 1700000000.25


def test_a_full_disk_cuts_no_line_in_two(path, no_room) -> None:
    record(path, 1)
    with Writer(path) as writer:
        line = len(path.read_bytes().splitlines()[1])
        with no_room(path, line + line // 2), pytest.raises(OSError, match="large"):
            writer.write_messages(TASK, "sync", 1.0, [message(2), message(3)])
        writer.write_messages(TASK, "sync", 1.0, [message(4)])
    assert numbers(path) == [1, 2, 4]
    reader = Reader(path)
    assert (len(list(reader)), reader.damaged) == (3, [])
