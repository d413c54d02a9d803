"""A warm call in the shell against Celery's `.get()`: one client after the other, in turns, on one worker.

The cell is what a person types, from its text to the event that is shown: compiled, its arguments held against the
signature in the source, sent over the open connection. `nox -s benchmarks` runs it in a platform that `mp up` started.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_bus import by_amqp, by_celery

CALLS = int(os.environ.get("BENCH_CALLS", "600"))
TURN = 50
MP = str(Path(sys.executable).parent / "mp")
TASK = '''

@sync_app.task
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b
'''


def main() -> None:
    """Start a platform, measure, print the table."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MP_")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**kept, "HOME": name}
        mp(folder, environ, "new", "service", "mpcalc")
        with (folder / "mpcalc" / "mpcalc" / "sync_tasks.py").open("a") as file:
            file.write(TASK)
        mp(folder, environ, "up", "-d", "--broker", "embedded")
        try:
            os.chdir(folder)
            url = json.loads((folder / ".mp" / "state.json").read_text())["urls"]["sync"]
            report(measure(folder, url))
        finally:
            os.chdir("/")
            mp(folder, environ, "down")


def mp(folder: Path, environ: dict[str, str], *words: str) -> None:
    """Run a command that must succeed."""
    subprocess.run([MP, *words], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)


def measure(folder: Path, url: str) -> dict[str, list[float]]:
    """Milliseconds of each call by each client."""
    from mpcli.shell.session import Session

    session = Session(folder)
    list(session.run("call = mpcalc.sync.add\ncall(1, b=2)"))
    ways: dict[str, Callable[[], object]] = {
        "Celery `.get()`": by_celery(url, "mpcalc"),
        "a cell, from its text to what is shown": lambda: list(session.run("mpcalc.sync.add(1, b=2)")),
        "a call in a loop of the shell": lambda: session.variables["call"](1, b=2),  # type: ignore[operator]
        "py-amqp alone, nothing checked": by_amqp(url, "mpcalc"),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        for _ in range(20):
            way()
    for _ in range(CALLS // TURN):
        for name, way in ways.items():
            for _ in range(TURN):
                began = time.perf_counter()
                way()
                times[name].append((time.perf_counter() - began) * 1000)
    session.close()
    return times


def report(times: dict[str, list[float]]) -> None:
    """A markdown section."""
    celery = statistics.median(times["Celery `.get()`"])
    print(f"## A warm call in the shell ({CALLS} calls by each, embedded broker)\n")
    print("| client | p50 ms | p99 ms | of `.get()` |\n|---|---:|---:|---:|")
    for name, values in times.items():
        p99 = sorted(values)[len(values) * 99 // 100]
        print(f"| {name} | {statistics.median(values):.2f} | {p99:.2f} | {statistics.median(values) / celery:.2f} |")


if __name__ == "__main__":
    main()
