"""Two services for the contract tests of the bus."""

import os
import signal
import time
from pathlib import Path

from mpcli.bus import Caller, service_apps

alpha_sync, alpha_async = service_apps("mpalpha")
beta_sync, beta_async = service_apps("mpbeta")
pickled_sync, pickled_async = service_apps("mppickled", accept_pickle=True)
caller = Caller()


class OddError(Exception):
    """No caller could rebuild it: its constructor wants what its arguments are not."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(code, reason, object())
        self.reason = reason

    def __str__(self) -> str:
        return f"odd {self.args[0]}: {self.reason}"


@alpha_sync.task
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@alpha_sync.task
def echo(value, **named):
    return [value, named] if named else value


@alpha_sync.task
def odd():
    raise OddError(7, reason="just so")


@alpha_sync.task
def unserialisable():
    return {1, 2}


@alpha_sync.task
def slow(seconds: float, note: str = ""):
    if note:
        write_note(note)
    time.sleep(seconds)
    return os.getpid()


@alpha_sync.task
def hold(note: str) -> None:
    """Begin, and go on until the test has noted that it is released."""
    write_note(note)
    released = f"{note} is released"
    while released not in Path(os.environ["TEST_NOTES"]).read_text().splitlines():
        time.sleep(0.02)


@alpha_sync.task
def pid() -> int:
    return os.getpid()


@alpha_sync.task(bind=True)
def nest(self, depth: int) -> list:
    """Call the other service, which calls this one, and so on: what each has left, and which trace it is in."""
    return _nest(self, "mpbeta.sync.nest", depth)


@beta_sync.task(bind=True, name="mpbeta.sync.nest")
def nest_back(self, depth: int) -> list:
    return _nest(self, "mpalpha.sync.nest", depth)


def _nest(task, other: str, depth: int) -> list:
    from mpcli.bus.budget import origin

    here = origin()
    mine = {"remaining": here.remaining, "root": here.root_id, "id": task.request.id, "parent": task.request.parent_id}
    time.sleep(0.05)
    return [mine, *(caller.with_options(timeout=60).call(other, depth - 1) if depth else [])]


@alpha_sync.task
def wait_for_nobody(note: str):
    """A nested call to a service without workers, with a patience longer than the caller's."""
    started = time.monotonic()
    try:
        caller.with_options(timeout=60).call("mpbeta.sync.nest", 0)
    finally:
        write_note(f"{note} {time.monotonic() - started:.2f}")


@alpha_sync.task
def send_note(text: str) -> str:
    return caller.send("mpalpha.async.note", text)


@alpha_async.task
def note(text: str) -> None:
    write_note(text)


@alpha_async.task
def fail() -> None:
    raise ValueError("as it was asked to")


@alpha_async.task
def kill_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_note(text: str) -> None:
    with open(os.environ["TEST_NOTES"], "a") as file:
        file.write(text + "\n")
