"""One run of a platform at a time: a file lock that the kernel releases when its last holder is gone.

Supervisor and reaper share it, so it is free only when both are. Nothing can go stale: the file stays, the lock
does not.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.platform.state import read_state

LOCK_FILE = "lock"
# Seconds between two tries for a lock that somebody holds.
_GLANCE = 0.03


class AlreadyRunning(UsageError):
    """Another `mp up` runs in this platform; nothing was changed."""


def take_lock(runtime: Path, patience: float) -> int:
    """Take the platform's lock and return its file descriptor, which whoever holds it may hand to a child.

    While a reaper still ends the processes of a killed run, it is waited for, at most `patience` seconds. Raises
    `AlreadyRunning`.
    """
    deadline = time.monotonic() + patience
    while (descriptor := try_lock(runtime)) is None:
        state = read_state(runtime)
        if state is not None and state.supervisor.alive:
            raise AlreadyRunning(
                f"this platform is already up: its supervisor is pid {state.supervisor.pid}",
                "`mp ps` shows what runs, `mp down` stops it",
            )
        if time.monotonic() > deadline:
            raise AlreadyRunning(
                f"another process holds {runtime / LOCK_FILE}",
                "it starts or ends this platform right now: try again, or run `mp ps`",
            )
        time.sleep(_GLANCE)
    return descriptor


def try_lock(runtime: Path) -> int | None:
    """Take the lock if it is free now; None when it is not."""
    descriptor = os.open(runtime / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
