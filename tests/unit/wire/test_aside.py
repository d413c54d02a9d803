"""Threads beside the main one take no Ctrl-C from it."""

from __future__ import annotations

import signal
from threading import Thread

from mpcli.wire import aside


def test_a_signal_finds_no_thread_but_the_main_one() -> None:
    blocked: list[set[signal.Signals | int]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    thread = Thread(target=lambda: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    aside.start(thread)
    thread.join()
    assert blocked[0] >= {signal.SIGINT, signal.SIGTERM}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
