from __future__ import annotations

import pytest

from mpcli.shell.waiting import doing

IDLE: dict[str, object] = {"a@host": []}
MINE: dict[str, object] = {"a@host": [], "b@host": [{"id": "1", "name": "mpa.sync.x"}]}
OTHER: dict[str, object] = {"a@host": [{"id": "2", "name": "mpa.sync.y"}, {"id": "3", "name": "mpa.sync.x"}]}


@pytest.mark.parametrize(
    ("consumers", "waiting", "active", "said"),
    [
        (0, 3, {}, "nobody is listening: waiting for a worker"),
        (1, 0, {}, "1 worker listening, too busy to answer"),
        (2, 0, {}, "2 workers listening, too busy to answer"),
        (1, 0, IDLE, "the workers are idle"),
        (2, 0, MINE, "b@host is on it"),
        (2, 4, MINE, "b@host is on it, 4 waiting"),
        (1, 1, OTHER, "the workers are on mpa.sync.x, mpa.sync.y, 1 waiting"),
        (1, 0, {"a@host": "nonsense", "b@host": [7, {}]}, "the workers are idle"),
    ],
)
def test_what_the_workers_are_doing(consumers: int, waiting: int, active: dict[str, object], said: str) -> None:
    assert doing("1", consumers, waiting, active) == said
