"""The lines and the journal of a batch, without any broker."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import MpError, UsageError
from mpcli.verbs.batch_journal import Journal, mark_of
from mpcli.verbs.batch_lines import BatchInput, BatchLine

TASK = "mplogin.sync.x"


def lines_of(data: bytes, tmp_path) -> list[tuple[int, bytes]]:
    file = tmp_path / "in"
    file.write_bytes(data)
    with file.open("rb") as stream:
        source = BatchInput(stream.fileno())
        found = [(line.number, line.text) for line in source.lines()]
        assert source.rewinds
        assert [(line.number, line.text) for line in source.lines()] == found
    return found


def test_lines_are_numbered_with_the_blank_ones_and_the_last_needs_no_end(tmp_path) -> None:
    assert lines_of(b"[1]\n\n  \n{}\r\n[2]", tmp_path) == [(1, b"[1]"), (4, b"{}\r"), (5, b"[2]")]
    assert lines_of(b"", tmp_path) == []


def test_a_pipe_is_read_to_its_end_and_not_twice() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"[1]\n[2")
    os.write(theirs, b"]\n")
    os.close(theirs)
    source = BatchInput(ours)
    assert not source.rewinds
    assert [line.text for line in source.lines()] == [b"[1]", b"[2]"]
    os.close(ours)


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("[1, null]", [1, None], {}),
        ('{"a": 1}', [], {"a": 1}),
        ("{}", [], {}),
        ('{"args": [1]}', [1], {}),
        ('{"args": [1], "kwargs": {"b": 2}}', [1], {"b": 2}),
        ('{"args": 1}', [], {"args": 1}),
        ('{"args": [1], "b": 2}', [], {"args": [1], "b": 2}),
        ("\ufeff[1]", [1], {}),
    ],
)
def test_the_forms_of_a_line(text, args, kwargs) -> None:
    assert BatchLine(1, text.encode()).arguments() == (args, kwargs)


@given(st.binary())
def test_a_line_is_arguments_or_refused(text) -> None:
    try:
        args, kwargs = BatchLine(1, text).arguments()
    except UsageError:
        return
    assert isinstance(args, list)
    assert isinstance(kwargs, dict)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "journal")


def reopened(path: str) -> dict[int, tuple[str, int | None]]:
    journal = Journal(path, TASK)
    journal.close()
    return {number: (progress.id, progress.code) for number, progress in journal.lines.items()}


def test_each_line_is_done_or_unknown_or_not_begun(path) -> None:
    journal = Journal(path, TASK)
    for number in (1, 2, 3):
        journal.sending(number, b"[%d]" % number, f"id{number}")
    journal.ended([(2, 3), (3, None)])
    journal.close()
    assert reopened(path) == {1: ("id1", None), 2: ("id2", 3)}
    assert Journal(path, TASK).lines[1].mark == mark_of(b"[1]\r")


def test_a_write_that_was_cut_counts_for_nothing_wherever_it_was_cut(path) -> None:
    journal = Journal(path, TASK)
    journal.sending(1, b"[1]", "id1")
    journal.ended([(1, 0)])
    journal.close()
    with open(path, "rb") as file:
        whole = file.read()
    for length in range(len(whole)):
        with open(path, "wb") as file:
            file.write(whole[:length])
        assert reopened(path) in ({}, {1: ("id1", None)})
        with open(path, "rb") as file:
            assert all(json.loads(line) for line in file.read().splitlines())


def test_one_batch_at_a_time_and_only_its_own(path, tmp_path) -> None:
    journal = Journal(path, TASK)
    with pytest.raises(UsageError, match="another batch is writing it"):
        Journal(path, TASK)
    journal.close()
    with pytest.raises(UsageError, match=f"belongs to a batch of {TASK}"):
        Journal(path, "mplogin.sync.y")
    for text in ("no journal\n", "no journal", "\n", '{"a": 1}\nb', "[1]\n", "1\n2"):
        (tmp_path / "text").write_text(text)
        with pytest.raises(UsageError, match="no journal of a batch"):
            Journal(str(tmp_path / "text"), TASK)
        assert (tmp_path / "text").read_text() == text
    with pytest.raises(UsageError, match="no such file"):
        Journal(str(tmp_path / "missing" / "journal"), TASK)


def test_a_line_that_was_wrong_leaves_a_journal_that_can_be_read(tmp_path) -> None:
    path = str(tmp_path / "journal")
    journal = Journal(path, TASK)
    journal.sending(1, b"nonsense", "")
    journal.sending(2, b"more of it", "")
    journal.ended([(2, 2)])
    journal.close()
    again = Journal(path, TASK)
    again.close()
    assert again.lines[1].never_ran  # the run ended before it could say so
    assert (again.lines[2].never_ran, again.lines[2].code) == (False, 2)


def test_a_journal_is_a_file(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="regular file"):
        Journal(str(tmp_path / "pipe"), TASK)


def test_a_full_disk_leaves_whole_lines(tmp_path, no_room) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path), TASK)
    journal.sending(1, b"[1]", "an id")
    with no_room(path, 10), pytest.raises(MpError, match="too large"):
        journal.sending(2, b"[2]", "another id")
    journal.ended([(1, 0)])
    journal.close()
    again = Journal(str(path), TASK)
    again.close()
    assert [(number, line.code) for number, line in again.lines.items()] == [(1, 0)]
