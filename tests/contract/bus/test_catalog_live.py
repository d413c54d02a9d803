"""The live side of the catalog, with real workers: signatures, names, queues, and how soon it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mpcli.bus.naming import Mode
from mpcli.catalog.live import ask


def test_signatures_docs_workers_and_queues(served: Any) -> None:
    live = ask(served.urls, ["mpalpha", "mpbeta", "mpnothere"])
    assert live.modes == set(Mode)
    assert live.complete == set(Mode)
    names = {name.rpartition(".")[0] for name in live.tasks}
    assert names == {"mpalpha.sync", "mpalpha.async", "mpbeta.sync"}
    assert all(task.parameters is not None and len(task.workers) == 1 for task in live.tasks.values())
    assert live.queues["mpalpha.sync"] == (0, 1)
    assert live.queues["mpnothere.sync"] is None


def test_it_waits_for_the_known_number_and_no_longer(served: Any) -> None:
    began = time.monotonic()
    for _ in range(3):
        assert ask(served.urls, ["mpalpha", "mpbeta"]).complete == set(Mode)
    assert time.monotonic() - began < 3 * 0.6, "a timeout was waited for"


def test_nothing_is_left_behind(served: Any, until_true: Callable[..., object]) -> None:
    ask(served.urls, ["mpalpha", "mpbeta", "mpnothere"])

    def left() -> list[str]:
        return [name for mode in Mode for name in served.queues(mode) if name.startswith(("mp.answers", "mpnothere"))]

    until_true(lambda: not left(), "the queue for the answers is gone")


def test_a_plain_worker_tells_its_names(platform: Any) -> None:
    platform.start("plain:app")
    live = ask(platform.urls, ["mpplain"])
    names = [name for name in live.tasks if name.startswith("mpplain.sync.")]
    assert names
    assert all(live.tasks[name].parameters is None for name in names)
    assert Mode.SYNC in live.complete


def test_brokers_that_do_not_answer_are_left_out(served: Any) -> None:
    began = time.monotonic()
    urls = {Mode.SYNC: served.urls[Mode.SYNC], Mode.ASYNC: "amqp://127.0.0.1:1/"}
    live = ask(urls, ["mpalpha"])
    assert live.modes == {Mode.SYNC}
    assert time.monotonic() - began < 3
