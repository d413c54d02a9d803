"""Tables and lines of queues: they fit, and nothing of a broker's text reaches a terminal raw."""

import time

import pytest

from mpcli.errors import BrokerUnreachable
from mpcli.render.dead import show_dead
from mpcli.render.peek import show_peek
from mpcli.render.purge import show_purge
from mpcli.render.queues import show_queues, watch_queues
from mpcli.verbs.causes import Cause
from mpcli.verbs.dead import DeadGroup, DeadLetter, DeadList
from mpcli.verbs.peek import Peeked, PeekSummary
from mpcli.verbs.purge import PurgeSummary
from mpcli.verbs.queue_rows import QueueRow
from mpcli.verbs.queues import Snapshot
from mpcli.verbs.seen import Seen
from mpcli.wire.message import Message

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e"


class NoCauses:
    """Knows one cause for everything."""

    def of(self, task: str, task_id: str) -> Cause:
        return Cause(f"ValueError('password=hunter2 {HOSTILE}')", f"Traceback\n  {HOSTILE}", HOSTILE)


def letter() -> DeadLetter:
    death = {
        "reason": HOSTILE,
        "queue": HOSTILE,
        "exchange": HOSTILE,
        "routing-keys": [HOSTILE],
        "time": 17,
        "count": 2,
    }
    headers = {"task": f"mplogin.async.{HOSTILE}", "id": HOSTILE, "x-death": [death], HOSTILE: HOSTILE}
    properties = {"content_type": "application/json", "headers": headers, "type": HOSTILE}
    message = Message.build("mplogin.dead", HOSTILE, properties, b'[["\\u001b[2J"], {"token": "hunter2"}, {}]')
    return DeadLetter(f"mp{HOSTILE}.dead", Seen("dead", "async", time.time(), message), NoCauses())


def snapshot(*names: str) -> Snapshot:
    found = Snapshot()
    for name in names:
        row = QueueRow(name, "sync")
        row.ready, row.consumers, row.unacked, row.in_rate, row.oldest, row.type = 12, 0, 3, 1.5, 90.0, "classic"
        found.rows.append(row)
    found.failures["async"] = BrokerUnreachable(f"no connection: {HOSTILE}", HOSTILE)
    found.management["sync"] = HOSTILE
    return found


@pytest.mark.parametrize("as_json", [True, False])
def test_no_control_reaches_the_terminal_and_no_secret(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    one = letter()
    listed = DeadList()
    listed.groups, listed.queues = [DeadGroup(one)], {f"mp{HOSTILE}.dead": (5, 1)}
    summary = PeekSummary(5)
    summary.failures, summary.failure, summary.saved = 1, HOSTILE, HOSTILE
    purged = PurgeSummary(HOSTILE, 5)
    purged.removed, purged.backup, purged.failure, purged.failures = 1, f"/{HOSTILE}", HOSTILE, 1
    show_dead(iter([listed, one]), as_json, full=True)
    show_peek(iter([Peeked([one.seen]), summary]), as_json, full=True)
    show_purge(iter([purged]), as_json)
    show_queues(snapshot(HOSTILE, f"mplogin{HOSTILE}.dead"), as_json, everything=True)
    if as_json:
        watch_queues(iter([snapshot(HOSTILE)]), as_json)
    out, err = capsys.readouterr()
    assert "owned" in out
    assert "owned" in err
    assert "hunter2" not in out + err
    assert not [sign for sign in out + err if sign in "\x1b\x07\x9b\u202e"]


@pytest.mark.parametrize(
    ("columns", "shown", "left_out"),
    [
        (40, ["queue", "ready", "cons."], ["broker", "unacked", "oldest"]),
        (70, ["broker", "unacked", "in/s", "consumers"], ["oldest", "type"]),
        (100, ["broker", "type", "unacked", "in/s", "oldest", "1m30s"], []),
    ],
)
def test_the_table_leaves_out_what_does_not_fit(capsys, monkeypatch, columns, shown, left_out) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = snapshot("mplogin.sync", "mplogin." + "x" * 60, "mpwallet.sync", "locked")
    found.rows[2].there, found.rows[3].problem = False, "another connection owns it"
    show_queues(found, as_json=False, everything=False)
    out, err = capsys.readouterr()
    assert all(word in out for word in ["mplogin.sync", *shown])
    assert not [word for word in left_out if word in out]
    assert max(map(len, out.splitlines())) <= columns
    assert "not there" in out
    assert "nobody consumes mplogin.sync" in err
    assert "locked: another connection owns it" in err
