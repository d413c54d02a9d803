"""`mp peek`: what it shows, what it tells first, what it refuses, and that everything stays where it was."""

import json

import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import NotFound, SafetyRefusal, UsageError
from mpcli.platform.contexts import Endpoint
from mpcli.recording.reader import Reader
from mpcli.verbs.peek import Cost, Look, Peeked, PeekSummary, peek
from mpcli.verbs.queue_place import QueuePlace
from mpcli.wire.holding import hold
from mpcli.wire.queue_traits import QUORUM, Traits

DELIVERY = {"x_queue_type": "quorum", "x_delivery_limit": 2}


def look(here, queue: str, **options) -> tuple[Cost, list[int], PeekSummary]:
    cost, peeked, summary = peek(here.folder, queue, **options)
    assert isinstance(cost, Cost)
    assert isinstance(peeked, Peeked)
    assert isinstance(summary, PeekSummary)
    return cost, [here.number(seen.message) for seen in peeked.items], summary


@pytest.mark.parametrize(
    ("mode", "queue", "kind"), [("sync", "mplogin.sync", "classic"), ("async", "mplogin.dead", "quorum")]
)
def test_the_first_are_shown_and_all_stay_in_their_places(here, mode, queue, kind) -> None:
    here.fill(mode, queue, 100)
    for count in (60, 5, 60):
        cost, numbers, summary = look(here, queue, limit=count)
        assert (cost.broker, cost.type, cost.ready, cost.consumers, cost.take) == (mode, kind, 100, 0, count)
        assert numbers == list(range(count))
        assert (summary.before, summary.after, summary.died, summary.left) == (100, 100, 0, None)
        assert summary.held >= count
    assert [here.number(message) for message in here.all_of(mode, queue)] == list(range(100))


def test_an_empty_queue(here) -> None:
    cost, numbers, summary = look(here, "mplogin.async")
    assert (cost.take, numbers, summary.held) == (0, [], 0)
    assert (cost.type, cost.delivery_limit, cost.dead_letters_to) == ("quorum", 3, "mplogin.dead")


def test_where_looks_through_more_than_it_shows(here, tmp_path) -> None:
    here.fill("sync", "mplogin.sync", 50, password="hunter2")
    file = tmp_path / "saved.mprec"
    _, numbers, summary = look(here, "mplogin.sync", where="args[0] % 7 == 3", limit=3, scan=30, save=file)
    assert numbers == [3, 10, 17]
    assert (summary.held, summary.shown) == (30, 3)
    saved = list(Reader(file))
    assert [here.number(entry.message) for entry in saved] == [3, 10, 17]
    assert saved[0].message == here.task("mplogin.sync.register", 3, key="mplogin.sync", password="hunter2")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_delivery_limit_is_not_touched_unless_told(here) -> None:
    here.fill("async", "mplogin.async", 5)
    with pytest.raises(SafetyRefusal, match="delivery limit of 3"):
        list(peek(here.folder, "mplogin.async"))
    lefts = [look(here, "mplogin.async", spend=True)[2].left for _ in range(3)]
    assert lefts == [2, 1, 0]  # so the refused one used up none
    _, numbers, summary = look(here, "mplogin.async", spend=True, limit=2)
    assert (numbers, summary.died, summary.left) == ([0, 1], 2, None)
    here.await_count("async", "mplogin.dead", 2)
    here.await_count("async", "mplogin.async", 3)


def test_a_limit_that_is_the_brokers_own_stops_looks_well_before_it(here) -> None:
    here.fill("async", "mplogin.dead", 5)  # on RabbitMQ 4 this queue has a limit, though nobody set one
    for _ in range(3):
        look(here, "mplogin.dead")
    place = QueuePlace("mplogin.dead", Mode.ASYNC, Endpoint("", "", ""))
    with hold(here.brokers.async_.url, "mplogin.dead") as holding:
        assert len(list(Look(holding, place, Traits(QUORUM, {}, 6)).messages(5))) == 5
    here.await_count("async", "mplogin.dead", 5)
    with hold(here.brokers.async_.url, "mplogin.dead") as holding:
        with pytest.raises(SafetyRefusal, match="drops it after 6"):
            list(Look(holding, place, Traits(QUORUM, {}, 6)).messages(5))
        assert holding.taken == 1


def test_a_queue_that_drops_what_is_over_its_limit_wants_a_copy_first(here, tmp_path) -> None:
    here.declare("async", "mplogin.odd", **DELIVERY)
    here.fill("async", "mplogin.odd", 3)
    with pytest.raises(SafetyRefusal, match="drops"):
        list(peek(here.folder, "mplogin.odd", spend=True))
    for _ in range(3):
        _, _, summary = look(here, "mplogin.odd", spend=True, save=tmp_path / "odd.mprec")
    assert (summary.died, summary.after) == (3, 0)
    assert len(list(Reader(tmp_path / "odd.mprec"))) == 9


def test_which_broker(here) -> None:
    here.declare("sync", "odd")
    assert look(here, "odd")[0].broker == "sync"
    here.declare("async", "odd")
    with pytest.raises(UsageError, match="both"):
        list(peek(here.folder, "odd"))
    assert look(here, "odd", broker="async")[0].broker == "async"
    with pytest.raises(UsageError, match="not a broker"):
        list(peek(here.folder, "odd", broker="both"))
    for name in ("nothere", "mpnone.sync"):
        with pytest.raises(NotFound, match=name):
            list(peek(here.folder, name))


def test_a_readonly_context_lets_nobody_look_where_a_worker_could_notice(here, tmp_path) -> None:
    here.context("readonly")
    here.fill("sync", "mplogin.sync", 3)
    here.fill("async", "mplogin.async", 3)
    assert look(here, "mplogin.sync", context="guarded")[1] == [0, 1, 2]  # nobody is there to notice
    here.busy_worker(here.sync, "mplogin.sync")
    with pytest.raises(SafetyRefusal, match="readonly"):
        list(peek(here.folder, "mplogin.sync", context="guarded", yes=True))
    with pytest.raises(SafetyRefusal, match="readonly"):
        list(peek(here.folder, "mplogin.async", context="guarded", spend=True, yes=True))
    here.context("confirm")
    asked: list[str] = []
    with pytest.raises(SafetyRefusal, match="not confirmed"):
        list(peek(here.folder, "mplogin.sync", context="guarded", ask=lambda text: bool(asked.append(text))))
    assert "guarded" in asked[0]
    assert look(here, "mplogin.sync", context="guarded", yes=True)[1] == [1, 2]
    assert {message.headers.get("x-delivery-count") for message in here.all_of("async", "mplogin.async")} == {None}


def test_from_outside_the_stream_is_clean_and_secrets_are_masked(here) -> None:
    here.fill("sync", "mplogin.sync", 12, password="hunter2")
    code, out, err = here.mp("peek", "mplogin.sync", "-n", "2")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["args"] for line in lines] == [[0], [1]]
    assert {line["kwargs"]["password"] for line in lines} == {"***"}
    before, after = err.splitlines()
    assert "classic" in before
    assert "marked as redelivered" in before
    assert "12 waiting before, 12 now" in after
    assert here.mp("peek", "mplogin.synk")[0] == 5


@pytest.mark.parametrize(("mode", "queue"), [("sync", "mplogin.sync"), ("async", "mplogin.dead")])
def test_killed_at_any_moment_it_leaves_everything(here, kill_at_random, mode, queue) -> None:
    here.fill(mode, queue, 3000)
    held = 0
    for _ in range(2):
        process = here.start("peek", queue, "-n", "3000")
        assert "Looking at 3000" in process.stderr.readline()
        kill_at_random(process, 0, 0.1)
        held += here.broker(mode).queues()[queue]
        here.await_returned(mode, queue)
    assert held == 6000
    assert sorted(here.number(message) for message in here.all_of(mode, queue)) == list(range(3000))


def test_what_the_queue_drops_is_saved_also_when_it_is_not_shown(here, tmp_path) -> None:
    here.declare("sync", "dropping", x_queue_type="quorum", x_delivery_limit=0)
    here.fill("sync", "dropping", 6)
    file = tmp_path / "saved.mprec"
    _, shown, summary = look(here, "dropping", where="args[0] == 3", spend=True, save=file)
    assert (shown, summary.died) == ([3], 6)
    here.await_total("sync", "dropping", 0)
    assert [here.number(entry.message) for entry in Reader(file)] == list(range(6))
