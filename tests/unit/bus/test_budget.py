import time
from types import SimpleNamespace

import pytest

from mpcli.bus.budget import _remaining, mark_started


def request(budget, sent, started=True):
    made = SimpleNamespace(mp_budget=budget, mp_sent=sent)
    if started:
        mark_started(made)
    return made


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0.0, 10.0),
        (4.0, 6.0),  # four seconds in the queue
        (-500.0, 10.0),  # the sender's clock is ahead: what it says of the time in the queue means nothing
        (500.0, 10.0),  # or behind: the broker would have dropped a message that waited so long
    ],
)
def test_time_in_the_queue_counts_as_far_as_clocks_can_be_believed(age, expected):
    assert _remaining(request(10.0, time.time() - age)) == pytest.approx(expected, abs=0.2)


def test_running_time_counts_by_the_monotonic_clock():
    made = request(10.0, time.time())
    monotonic, wall = made.mp_started
    made.mp_started = (monotonic - 3, wall)
    assert _remaining(made) == pytest.approx(7.0, abs=0.2)
    made.mp_started = (monotonic - 30, wall)
    assert _remaining(made) < 0


def test_a_service_that_does_not_note_starts():
    assert _remaining(request(10.0, time.time() - 4, started=False)) == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("budget", [None, "10", []])
def test_no_budget_no_limit(budget):
    assert _remaining(request(budget, time.time())) is None
