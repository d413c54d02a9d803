"""`mp call` on services of the bus: arguments checked, a running worker overruling; hops; delays that block nobody."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mpcli.bus.delay import Delay
from mpcli.bus.naming import Mode
from mpcli.catalog.check import ArgumentsRefused
from mpcli.errors import UnknownService, UsageError
from mpcli.verbs.call import call_task
from mpcli.wire.hops import Hops

SOURCE = '''
from apps import sync_app


@sync_app.task(name="mpalpha.sync.add")
def add({parameters}):
    """Not what runs."""
'''


@pytest.fixture
def source(served: Any, tmp_path: Path) -> Any:
    """A platform whose source says what it is told to of mpalpha.sync.add; its workers have `a: int, b: int = 1`."""
    (tmp_path / "mp.toml").write_text("")
    (tmp_path / "mpalpha").mkdir()
    (tmp_path / "mpalpha" / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mpalpha"\nsync = "apps:sync_app"\n')

    def call(parameters: str, *args: object, **kwargs: object) -> tuple[object, list[str]]:
        (tmp_path / "mpalpha" / "tasks.py").write_text(SOURCE.format(parameters=parameters))
        notes: list[str] = []
        url = served.urls[Mode.SYNC]
        done = call_task("mpalpha.sync.add", list(args), kwargs, start=str(tmp_path), url=url, note=notes.append)
        return done.value, notes

    return call


def test_what_fits_the_source_is_sent_converted(source: Any) -> None:
    assert source("a: int, b: int = 1", a="1", b="41") == (42, [])


def test_a_running_worker_overrules_the_source(source: Any, until_true: Any) -> None:
    def overruled() -> tuple[object, list[str]] | None:
        with suppress(ArgumentsRefused):  # so it is when the worker does not answer in the moment that it has
            return source("first: int, second: int", a="1", b=41)

    value, notes = until_true(overruled, "the worker was asked")
    assert value == 42
    assert "another version" in notes[0]


def test_what_neither_takes_is_refused_with_the_signature_that_runs(source: Any, served: Any, until_true: Any) -> None:
    before = served.queues(Mode.SYNC)

    def refused() -> bool:
        with pytest.raises(ArgumentsRefused) as error:
            source("first: int", aa=1)
        return "mpalpha.sync.add(a: int, b: int = 1)" in error.value.hint

    until_true(refused, "the worker was asked")
    with pytest.raises(ArgumentsRefused, match="a is text that is no int"):
        source("a: int", "one")
    # The call of the test before this one may not have been acknowledged when they were counted.
    until_true(
        lambda: all(count <= before.get(name, -1) for name, count in served.queues(Mode.SYNC).items()), "nothing left"
    )


def send(served: Any, folder: Path, text: str, **options: object) -> str:
    url = served.urls[Mode.ASYNC]
    return call_task("mpalpha.async.note", [text], {}, start=str(folder), url=url, **options).id


def test_a_delayed_task_waits_on_the_broker(served: Any, tmp_path: Path, until_true: Any) -> None:
    """More of them than the worker has slots: one without a delay overtakes them."""
    for number in range(4):
        send(served, tmp_path, f"call delayed {number}", delay=Delay.of(countdown=3600))
    send(served, tmp_path, "call at once")
    until_true(lambda: "call at once" in served.notes(), "the one without a delay")
    assert sum(count for name, count in served.queues(Mode.ASYNC).items() if name.startswith("celery_delayed_")) == 4
    begun = time.monotonic()
    send(served, tmp_path, "call soon", delay=Delay.of(countdown=2))
    until_true(lambda: "call soon" in served.notes(), "the delayed one")
    assert time.monotonic() - begun > 1.9


def test_a_delay_for_a_queue_that_is_not_there_is_refused(served: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownService, match=r"no queue mpbeta\.async"):
        call_task("mpbeta.async.note", [], {}, start=str(tmp_path), url=served.urls[Mode.ASYNC], delay=Delay.of(5))


def test_a_sync_task_takes_no_delay(served: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are for async tasks"):
        call_task("mpalpha.sync.add", [1], {}, start=str(tmp_path), url=served.urls[Mode.SYNC], delay=Delay.of(5))


def test_the_hops_of_a_call_and_of_a_send(served: Any, tmp_path: Path, until_true: Any) -> None:
    before = served.queues(Mode.SYNC).keys()
    hops = Hops()
    call_task("mpalpha.sync.add", [1], {}, start=str(tmp_path), url=served.urls[Mode.SYNC], hops=hops)
    own = [hop for hop in hops.found if not hop.by]
    assert [hop.what for hop in own] == ["connected", "published", "confirmed", "replied"]
    assert [hop.at for hop in own] == sorted(hop.at for hop in own)
    told = [hop for hop in hops.found if hop.by]
    assert {hop.what for hop in told} == {"received", "started", "succeeded"}
    assert all(hop.by.startswith("mpalpha.sync") for hop in told)
    until_true(lambda: served.queues(Mode.SYNC).keys() <= before, "nothing left")  # one of before may go by now

    hops = Hops()
    send(served, tmp_path, "traced", hops=hops)
    assert [hop.what for hop in hops.found] == ["connected", "published", "confirmed"]
