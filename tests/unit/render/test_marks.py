"""What is worth a word beside a message."""

from datetime import UTC, datetime, timedelta

import pytest

from mpcli.render.message import marks
from mpcli.verbs.seen import Seen
from mpcli.wire.message import Message


def marked(**headers: object) -> str:
    fields = {"task": "mplogin.sync.register", "id": "1", **headers}
    return marks(Seen("task", "sync", 1.0, Message.build("mplogin", "k", {"headers": fields}, b"[[], {}, {}]")))


@pytest.mark.parametrize("zone", ["+00:00", "Z", "", "+05:30"])
def test_an_eta_is_told_by_the_clock_here(zone) -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    written = (moment + timedelta(hours=5, minutes=30) if zone == "+05:30" else moment).replace(tzinfo=None)
    assert marked(eta=written.isoformat() + zone) == f"eta {moment.astimezone():%Y-%m-%d %H:%M:%S}"


def test_of_today_the_time_is_enough() -> None:
    now = datetime.now().astimezone()
    assert marked(retries=2, eta=now.astimezone(UTC).isoformat()) == f"retry 2, eta {now:%H:%M:%S}"


@pytest.mark.parametrize("value", ["soon", "9999-12-31T23:59:59-23:59", "\x1b[2J", 7])
def test_what_is_no_time_stands_as_it_is(value) -> None:
    assert marked(eta=value) == f"eta {value}".replace("\x1b", "\\x1b")
