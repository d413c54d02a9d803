"""Retries, delays, workflows and lost workers."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from celery import chain, chord, group


def test_retries_after_a_countdown(plain):
    assert plain.apps.flaky.delay(3).get(timeout=60) == 3
    assert plain.apps.later_flaky.delay(2).get(timeout=60) == 2


def test_what_always_fails_fails_in_the_end(plain):
    with pytest.raises(RuntimeError, match="not yet"):
        plain.apps.flaky.delay(99).get(timeout=60)


def test_a_delay_on_a_quorum_queue_waits_in_the_broker(plain, until_true):
    sent = time.time()
    delays = [{"countdown": 3600}, {"eta": datetime.now(UTC) + timedelta(hours=1)}] * 4
    results = [plain.apps.stamp.apply_async(**delay) for delay in delays]
    until_true(lambda: _delayed(plain) == 8, "all wait in queues of the broker")
    until_true(lambda: plain.queues("async")["plain.async"] == 0, "none waits in a worker")
    # Four times as many as the worker takes at once, and still others pass them.
    assert plain.apps.later_add.delay(1, 1).get(timeout=60) == 2
    assert not any(result.ready() for result in results)
    soon = [{"countdown": 2}, {"eta": datetime.now(UTC) + timedelta(seconds=2)}]
    # The delay has whole seconds: an eta that is 1.99 s away may be rounded down.
    assert min(plain.apps.stamp.apply_async(**delay).get(timeout=60) for delay in soon) - sent >= 0.9
    assert _delayed(plain) == 8


def _delayed(plain) -> int:
    return sum(count for name, count in plain.queues("async").items() if name.startswith("celery_delayed_"))


def test_a_delay_on_a_classic_queue_waits_in_the_worker(plain):
    started = time.monotonic()
    assert plain.apps.add.apply_async((1, 2), countdown=1).get(timeout=60) == 3
    assert time.monotonic() - started >= 0.9


def test_a_chain_and_a_group_over_rpc(plain):
    add = plain.apps.add
    assert chain(add.s(1, 2), add.s(3), add.s(4)).delay().get(timeout=60) == 10
    together = group(add.s(number, number) for number in range(20)).delay()
    assert together.get(timeout=60) == [number * 2 for number in range(20)]


def test_rpc_has_no_chords(plain):
    # Celery refuses before anything is sent, so no broker can make it work: a chord needs results that are kept.
    with pytest.raises(NotImplementedError, match="does not support chords"):
        chord([plain.apps.add.s(1, 1), plain.apps.add.s(2, 2)], plain.apps.add.s(3)).delay()


def test_a_chain_a_group_and_chords_with_kept_results(plain):
    add, total = plain.apps.later_add, plain.apps.total
    assert chain(add.s(1, 2), add.s(3)).delay().get(timeout=60) == 6
    assert group(add.s(number, 1) for number in range(5)).delay().get(timeout=60) == [1, 2, 3, 4, 5]
    assert chord([add.s(number, 1) for number in range(5)], total.s()).delay().get(timeout=40) == 15
    upgraded = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), add.s(10))
    assert upgraded.delay().get(timeout=40) == 16


def test_a_chord_whose_part_fails_fails(plain):
    broken = chord([plain.apps.later_add.s(1, 1), plain.apps.fail.s()], plain.apps.total.s()).delay()
    with pytest.raises(Exception, match="as asked"):
        broken.get(timeout=40)


def test_what_a_killed_worker_had_is_done_by_another(unserved, until_true):
    first = unserved.start("async", processes=1)
    result = unserved.apps.hold.delay()
    until_true(lambda: unserved.notes() == ["started False"], "it runs")
    assert unserved.queues("async")["plain.async"] == 1, "not acknowledged while it runs"
    unserved.kill(first)
    unserved.start("async", processes=1)
    until_true(lambda: unserved.notes() == ["started False", "started True"], "it runs again")
    (unserved.folder / "release").touch()
    result.get(timeout=60)
    assert unserved.notes()[2:] == ["done True"]
    until_true(lambda: unserved.queues("async")["plain.async"] == 0, "acknowledged")
