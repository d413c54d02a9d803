"""Threads beside the main one take no Ctrl-C from it."""

from __future__ import annotations

import signal
import subprocess
import sys
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


# Starts that each a SIGINT breaks at another instruction, and how many of them left a signal blocked.
_BROKEN_STARTS = '''
import os, signal, subprocess, sys
from mpcli.wire import aside

class Nothing:
    def start(self):
        pass

def interrupt(_number, _frame):
    global armed, broken
    if armed:
        armed, broken = False, broken + 1
        raise KeyboardInterrupt

armed, broken, left, nothing = False, 0, 0, Nothing()
signal.signal(signal.SIGINT, interrupt)
hammer = subprocess.Popen([sys.executable, "-c", f"""
import os, time
while os.getppid() == {os.getpid()}:
    os.kill({os.getpid()}, {signal.SIGINT})
    time.sleep(5e-5)
"""])
while broken < 500:
    try:
        armed = True
        aside.start(nothing)
        armed = False
    except KeyboardInterrupt:
        pass
    left += bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
hammer.kill()
hammer.wait()
print(broken, left)
'''


def test_a_signal_in_the_middle_of_a_start_leaves_none_blocked() -> None:
    """Else Ctrl-C would not be heard any more, until the program ends."""
    told = subprocess.run([sys.executable, "-c", _BROKEN_STARTS], check=False, capture_output=True, text=True)
    assert (told.stdout, told.stderr) == ("500 0\n", "")
