"""The live side of the catalog, with real workers: signatures, names, queues, and how soon it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mpcli.bus.naming import Mode
from mpcli.catalog.live import WORKER_WAIT, Live, ask


def whole(urls: dict[Mode, str], *services: str) -> Live:
    """What both brokers and all workers say; asked again while they take longer than the moment that they have."""
    deadline = time.monotonic() + 60
    while (live := ask(urls, services)).complete != set(Mode):
        assert time.monotonic() < deadline, (live.modes, live.complete, live.tasks.keys())
    return live


def test_signatures_docs_workers_and_queues(served: Any) -> None:
    live = whole(served.urls, "mpalpha", "mpbeta", "mpnothere")
    assert live.modes == set(Mode)
    names = {name.rpartition(".")[0] for name in live.tasks}
    assert names == {"mpalpha.sync", "mpalpha.async", "mpbeta.sync"}
    assert all(task.parameters is not None and len(task.workers) == 1 for task in live.tasks.values())
    assert live.queues["mpalpha.sync"] == (0, 1)
    assert live.queues["mpnothere.sync"] is None


def test_it_waits_for_the_known_number_and_no_longer(served: Any) -> None:
    def took() -> float:
        began = time.monotonic()
        whole(served.urls, "mpalpha", "mpbeta")
        return time.monotonic() - began

    # The quickest of some, for a machine may be busy: with a timeout in it none could be so quick.
    assert min(took() for _ in range(10)) < WORKER_WAIT, "a timeout was waited for"


def test_nothing_is_left_behind(served: Any, until_true: Callable[..., object]) -> None:
    ask(served.urls, ["mpalpha", "mpbeta", "mpnothere"])

    def left() -> list[str]:
        return [name for mode in Mode for name in served.queues(mode) if name.startswith(("mp.answers", "mpnothere"))]

    until_true(lambda: not left(), "the queue for the answers is gone")


def test_a_plain_worker_tells_its_names(platform: Any) -> None:
    platform.start("plain:app")
    live = whole(platform.urls, "mpplain")
    names = [name for name in live.tasks if name.startswith("mpplain.sync.")]
    assert names
    assert all(live.tasks[name].parameters is None for name in names)


def test_brokers_that_do_not_answer_are_left_out(served: Any, until_true: Callable[..., object]) -> None:
    urls = {Mode.SYNC: served.urls[Mode.SYNC], Mode.ASYNC: "amqp://127.0.0.1:1/"}
    live = until_true(lambda: (live := ask(urls, ["mpalpha"])).modes and live, "the other one answers in time")
    assert live.modes == {Mode.SYNC}
