"""`mp queues`: what is counted, what is listed, and what it says when a broker does not answer."""

import json
import signal
import time

import pytest

from mpcli.errors import BrokerUnreachable, NotFound, UsageError
from mpcli.verbs.queues import queues, watch
from mpcli.wire.handshake import connect
from mpcli.wire.methods import QUEUE_DECLARE
from mpcli.wire.queue_counts import QueueCounter

NOBODY = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
def platform(here):
    """The folder becomes a platform with the service mplogin, and one that never ran."""
    (here.folder / "mp.toml").write_text('[platform]\nname = "shop"\n')
    for name in ("mplogin", "mpwallet"):
        (here.folder / name).mkdir()
        apps = f'[tool.mpcli]\nservice = "{name}"\nsync = "a:b"\nasync = "a:c"\n'
        (here.folder / name / "pyproject.toml").write_text(apps)
    return here


def test_the_queues_of_the_services_with_their_counts(platform) -> None:
    platform.fill("sync", "mplogin.sync", 7)
    platform.fill("async", "mplogin.dead", 2)
    platform.busy_worker(platform.sync, "mplogin.sync")
    found = queues(platform.folder)
    rows = {row.name: (row.broker, row.there, row.ready, row.consumers, row.dead) for row in found.rows}
    assert rows == {
        "mplogin.sync": ("sync", True, 6, 1, False),
        "mplogin.async": ("async", True, 0, 0, False),
        "mplogin.dead": ("async", True, 2, 0, True),
        "mpwallet.sync": ("sync", False, None, None, False),
        "mpwallet.async": ("async", False, None, None, False),
        "mpwallet.dead": ("async", False, None, None, True),
    }
    assert [row.name for row in found.rows][:3] == ["mplogin.sync", "mplogin.async", "mplogin.dead"]
    assert found.failures == {}
    assert found.management["sync"]  # neither of these brokers has one, and it says why
    assert [row.name for row in queues(platform.folder, "*.dead").rows] == ["mplogin.dead", "mpwallet.dead"]
    assert [row.name for row in queues(platform.folder, "wallet").rows] == [
        f"mpwallet.{k}" for k in ("sync", "async", "dead")
    ]


def test_outside_of_a_platform_a_name_is_enough(here) -> None:
    assert {row.name for row in queues(here.folder, "mplogin").rows} == {
        "mplogin.sync",
        "mplogin.async",
        "mplogin.dead",
    }
    here.declare("async", "somebody_elses")
    assert [(row.name, row.broker) for row in queues(here.folder, "somebody_elses").rows] == [
        ("somebody_elses", "async")
    ]
    for pattern in ("mpnothere", "nothere", "*.nothere"):
        with pytest.raises(NotFound):
            queues(here.folder, pattern)
    with pytest.raises(UsageError, match="no service is known"):
        queues(here.folder)


def test_one_broker_down_the_other_is_shown(platform, monkeypatch) -> None:
    monkeypatch.setenv("MP_ASYNC_URL", NOBODY)
    found = queues(platform.folder)
    assert [row.name for row in found.rows] == ["mplogin.sync", "mpwallet.sync"]
    assert isinstance(found.failures["async"], BrokerUnreachable)
    platform.environment["MP_ASYNC_URL"] = NOBODY
    code, out, err = platform.mp("queues")
    assert code == 6
    assert [row["name"] for row in json.loads(out)] == ["mplogin.sync", "mpwallet.sync"]
    assert "127.0.0.1:1" in err
    monkeypatch.setenv("MP_SYNC_URL", NOBODY)
    with pytest.raises(BrokerUnreachable):
        queues(platform.folder)


def test_watching_sees_the_change_and_survives_the_connection(platform) -> None:
    snapshots = watch(platform.folder, "mplogin", every=0.1)
    next(snapshots)
    platform.fill("sync", "mplogin.sync", 50)
    rows = {row.name: row for row in next(snapshots).rows}
    assert rows["mplogin.sync"].ready == 50
    assert rows["mplogin.sync"].change > 0
    assert rows["mplogin.dead"].change == 0
    platform.brokers.sync.close_connections()
    deadline = time.monotonic() + 30
    failed = False
    while not (failed and not (found := next(snapshots)).failures):
        failed = failed or bool(next(snapshots).failures)
        assert time.monotonic() < deadline
    assert {row.name for row in found.rows} == set(rows)
    snapshots.close()


def test_watching_in_a_pipe_is_json_lines_and_ends_well(platform) -> None:
    process = platform.start("queues", "--watch", "--every", "0.1")
    lines = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert {row["name"] for row in lines[-1]["queues"]} >= {"mplogin.sync", "mplogin.dead"}
    assert all(json.loads(line) for line in out.splitlines())


def test_many_queues_are_counted_again_and_again(broker) -> None:
    names = [f"queue-{n}" for n in range(100)]
    with connect(broker.url) as connection:
        for name in names[::2]:
            connection.request(QUEUE_DECLARE, name, False, False, True, False, False, {})
        counter = QueueCounter(connection)
        for _ in range(3):
            found = counter.count(names)
            assert [name for name in names if found[name] is not None] == names[::2]
        with connect(broker.url) as other:
            (refusal,) = QueueCounter(other).count(["queue-0"]).values()
        assert refusal.code == 405
