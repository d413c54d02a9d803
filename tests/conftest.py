"""What every test of a run shares: a folder that ends with the run, and a lock by which others see it end.

The lock is held by the controlling pytest process and by nothing that it starts, so it is released by the kernel
however that process ends: processes that must not outlive the run wait for it (see contract/rabbitmq_guard.py).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_FOLDER = pytest.StashKey[Path]()
_LOCK = pytest.StashKey[int]()
_LOCK_FILE = "controller.lock"


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what is to run in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        config.stash[_FOLDER] = Path(config.workerinput["mp_run_folder"])
        return
    folder = Path(tempfile.mkdtemp(prefix="mp-tests-"))
    # A record lock: unlike flock's it is not inherited by processes that a test forks.
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(lock, fcntl.LOCK_EX)
    config.stash[_FOLDER], config.stash[_LOCK] = folder, lock


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    node.workerinput["mp_run_folder"] = str(node.config.stash[_FOLDER])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if left := _end_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("\nprocesses were left behind:\n" + "\n".join(left) + "\n")


def pytest_unconfigure(config: pytest.Config) -> None:
    _end_run(config)


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """A folder shared by all processes of this test run, deleted at its end."""
    return pytestconfig.stash[_FOLDER]


@pytest.fixture(scope="session")
def run_lock(run_folder: Path) -> Path:
    """The file whose record lock is free once this test run has ended, in whatever way."""
    return run_folder / _LOCK_FILE


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], dict[int, str]]:
    """A function that gives all processes whose arguments or environment name a folder: pid and command line."""
    return _processes_of


def _end_run(config: pytest.Config) -> list[str]:
    """Release the lock and wait until nothing of the run is left; what remains after that is killed and returned."""
    lock = config.stash.get(_LOCK, None)
    if lock is None:
        return []
    del config.stash[_LOCK]
    folder = config.stash[_FOLDER]
    os.close(lock)
    deadline = time.monotonic() + 30
    while (left := _processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, 9)
    shutil.rmtree(folder, ignore_errors=True)
    return [f"{pid}: {command}" for pid, command in left.items()]


def _processes_of(folder: Path) -> dict[int, str]:
    """The processes whose arguments or environment name the folder; none are found where there is no /proc."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            if str(folder).encode() in command + (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # ended while we looked, or somebody else's
    return found
