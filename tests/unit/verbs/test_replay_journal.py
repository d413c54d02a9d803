"""The journal of a replay: what a crash leaves of it, and whose messages are whose when it goes on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import MpError, UsageError
from mpcli.verbs.replay.journal import Journal, numbered
from mpcli.verbs.replay.sources import identity
from mpcli.wire.codec import Typed
from mpcli.wire.message import Message


def test_what_was_confirmed_is_known_again_and_a_torn_number_is_not(tmp_path: Path) -> None:
    path = tmp_path / "new" / "it.replay"
    journal = Journal.begin(path, {"salt": "x"})
    assert path.stat().st_mode & 0o777 == 0o600
    journal.confirm([3, 12])
    journal.confirm([])
    journal.close()
    with path.open("ab") as file:
        file.write(b"45")  # of 456
    again = Journal.resume(path)
    assert (again.header["salt"], again.confirmed) == ("x", {3, 12})
    again.confirm([7])
    again.close()
    last = Journal.resume(path)
    assert last.confirmed == {3, 12, 7}
    last.finish()
    assert not path.exists()


def test_one_at_a_time_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "it.replay"
    with pytest.raises(UsageError, match="nothing to resume"):
        Journal.resume(path)
    journal = Journal.begin(path, {})
    with pytest.raises(UsageError, match="did not end"):
        Journal.begin(path, {})
    with pytest.raises(UsageError, match="still runs"):
        Journal.resume(path)
    journal.close()
    for content in (
        b"",
        b"nonsense\n",
        b"[1]\n",
        b'{"format": "mp-replay", "version": 99}\n',
        path.read_bytes() + b"x\n",
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="no journal"):
            Journal.resume(path)


def test_a_full_disk_makes_no_number_of_two(tmp_path: Path, no_room) -> None:
    path = tmp_path / "it.replay"
    with no_room(path, 0), pytest.raises(MpError, match="cannot be written"):
        Journal.begin(path, {"salt": "x"})
    assert not path.exists()
    journal = Journal.begin(path, {"salt": "x"})
    with no_room(path, 5), pytest.raises(MpError, match="cannot be written"):
        journal.confirm([1, 23456])
    assert 23456 not in journal.confirmed
    journal.confirm([78])
    journal.close()
    again = Journal.resume(path)
    assert again.confirmed == {1, 78}
    again.close()


@given(st.lists(st.sampled_from("aabc"), max_size=12), st.data())
def test_nothing_that_was_not_confirmed_is_taken_for_confirmed(taken, data) -> None:
    """However many are alike, and whatever of the confirmed ones the queue had let go before the crash."""
    numbers = range(len(taken))
    confirmed = data.draw(st.sets(st.sampled_from(numbers))) if taken else set()
    gone = data.draw(st.sets(st.sampled_from(sorted(confirmed)))) if confirmed else set()
    left = [number for number in numbers if number not in gone]
    found = [taken[number] for number in data.draw(st.permutations(left))]
    given = numbered(dict(enumerate(taken)), confirmed, [*found, "new"])
    assert given[-1] is None
    assert None not in given[:-1]
    assert len(set(given)) == len(given)
    assert set(numbers) - confirmed <= set(given)
    assert all(taken[number] == one for number, one in zip(given[:-1], found, strict=True))


def test_a_message_is_itself_when_it_is_delivered_again() -> None:
    headers = {"id": "1", "n": Typed("l", 3), "x-death": [{"count": 1}]}
    sent = Message.build("e", "k", {"headers": headers}, b"body")
    again = Message.build("e", "k", {"headers": {**headers, "n": 3, "x-delivery-count": 2}}, b"body")
    assert identity(sent) == identity(again)
    assert identity(sent) != identity(sent.changed(headers={**headers, "id": "2"}))
    assert identity(Message("e", "k", b"\x80\x00\x09abc", b"")) != identity(sent)
