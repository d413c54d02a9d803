"""What is said of a task that has not ended yet, to a person who waits: of a call, and in the shell."""

from __future__ import annotations

import re

import pytest

from mpcli.bus.naming import TaskName
from mpcli.wire.control import Running, Survey
from mpcli.wire.diagnosis import doing

X = TaskName.parse("mpa.sync.x")
OTHERS = [{"id": "2", "name": "mpa.sync.y", "time_start": 1.0}, {"id": "3", "name": "mpa.sync.x"}]


@pytest.mark.parametrize(
    ("consumers", "waiting", "active", "said"),
    [
        (0, 3, {}, "waits: nobody is listening on mpa.sync"),
        (1, 0, {}, "waits: 1 worker is listening and does not answer when asked"),
        (2, 1, {}, "waits: 2 workers are listening and do not answer when asked; 1 more call waits"),
        (1, 0, {"a@h": []}, "waits: 1 worker is listening and runs nothing"),
        (2, 0, {"a@h": [], "b@h": [{"id": "1", "name": "mpa.sync.x"}]}, "runs on b@h since a moment"),
        (
            1, 2, {"a@h": OTHERS},
            r"waits, for mpa.sync is busy: a@h runs mpa.sync.y since ..:..:.. \(\d+ s\); "
            "a@h runs mpa.sync.x since a moment; 2 more calls wait",
        ),
    ],
)  # fmt: skip
def test_what_a_task_does_or_waits_for(consumers, waiting, active, said) -> None:
    survey = Survey()
    survey.consumers, survey.waiting = consumers, waiting
    running = {worker: [Running(task) for task in tasks] for worker, tasks in active.items()}
    assert re.fullmatch(said, doing(X, "1", survey, running))
