"""When the catalog is asked, seen from the keys. What the threads see of brokers and workers: tests/acceptance."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mpcli.shell.session import Session
from mpcli.shell.watch import Watch


class _Asked:
    """Stands where the catalog is asked, which needs brokers, and says when that was."""

    live = None

    def __init__(self) -> None:
        self.at = 0.0
        self.was = threading.Event()

    def refresh(self) -> None:
        self.at = self.at or time.monotonic()
        self.was.set()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Watch, _Asked]:
    monkeypatch.setenv("HOME", str(tmp_path))
    for mode in ("SYNC", "ASYNC"):
        monkeypatch.setenv(f"MP_{mode}_URL", "amqp://guest:guest@127.0.0.1:1//")  # nobody listens there
    session = Session(tmp_path)
    asked = _Asked()
    session.known = asked  # type: ignore[assignment]
    return Watch(session, lambda: None), asked


def test_the_catalog_is_asked_when_the_hands_rest(asked: tuple[Watch, _Asked]) -> None:
    watch, catalog = asked
    watch.typed()
    typed = time.monotonic()
    watch.start()
    try:
        assert catalog.was.wait(40)
        assert catalog.at - typed > 0.35
    finally:
        watch.stop()


def test_hands_that_never_rest_do_not_hold_it_up_for_ever(
    asked: tuple[Watch, _Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpcli.shell.watch._PATIENCE", 1.0)
    watch, catalog = asked
    watch.typed()
    watch.start()
    deadline = time.monotonic() + 40
    try:
        while not catalog.was.wait(0.02):
            watch.typed()
            assert time.monotonic() < deadline
    finally:
        watch.stop()
