"""`mp call` as a whole process against the shortest Celery script that gets the same result, and against `celery call`;
`mp --version` and `mp --help` against bare Python. One broker, one worker, commands in turn. The folder is a platform:
arguments are checked against its source.

Bytecode is cached for all of them, as an installed package has it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "25"))
BIN = Path(sys.executable).parent

APP = """
from celery import Celery
from kombu import Exchange, Queue

app = Celery("mplogin", broker={url!r}, backend="rpc://")
exchange = Exchange("mplogin", type="topic")
app.conf.task_queues = [Queue("mplogin.sync", exchange, routing_key="mplogin.sync.#")]


@app.task(name="mplogin.sync.register")
def register(email):
    return {{"email": email}}
"""

# What `mp call` checks the arguments against.
PYPROJECT = '[tool.mpcli]\nservice = "mplogin"\nsync = "apps:sync_app"\n'
SOURCE = """
from apps import sync_app


@sync_app.task
def register(email: str) -> dict[str, str]:
    ...
"""

SCRIPT = """
from celery import Celery
app = Celery(broker={url!r}, backend="rpc://")
print(app.send_task("mplogin.sync.register", kwargs={{"email": "a@b.c"}}, exchange="mplogin",
                    routing_key="mplogin.sync.register").get(timeout=10))
"""


def main() -> None:
    """Start broker and worker, measure, print the table."""
    from mpcli.brokers.embedded import DevBroker

    with tempfile.TemporaryDirectory() as name, DevBroker() as broker:
        folder = Path(name)
        (folder / "peer.py").write_text(APP.format(url=broker.url))
        (folder / "script.py").write_text(SCRIPT.format(url=broker.url))
        (folder / "mp.toml").write_text("")
        (folder / "mplogin").mkdir()
        (folder / "mplogin" / "pyproject.toml").write_text(PYPROJECT)
        (folder / "mplogin" / "tasks.py").write_text(SOURCE)
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environ |= {"MP_SYNC_URL": broker.url, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "peer", "worker", "-c", "1", "-l", "ERROR", "--without-gossip"],
            cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for_worker(environ, folder)
            report(measure(commands(broker.url), environ, folder))
        finally:
            worker.terminate()
            worker.wait(20)


def commands(url: str) -> dict[str, list[str]]:
    """What is compared. `celery call` prints an id and waits for nothing."""
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "mp --version": [str(BIN / "mp"), "--version"],
        "mp --help": [str(BIN / "mp"), "--help"],
        "mp call": [str(BIN / "mp"), "call", "mplogin.sync.register", "email=a@b.c"],
        "mp call --no-check": [str(BIN / "mp"), "call", "mplogin.sync.register", "email=a@b.c", "--no-check"],
        "Celery script": [sys.executable, "script.py"],
        "celery call": [
            str(BIN / "celery"), "-b", url, "call", "mplogin.sync.register", "--kwargs", '{"email": "a@b.c"}',
            "--exchange", "mplogin", "--routing-key", "mplogin.sync.register",
        ],
    }  # fmt: skip


def wait_for_worker(environ: dict[str, str], folder: Path) -> None:
    """Until a call is answered."""
    deadline = time.monotonic() + 60
    command = [str(BIN / "mp"), "call", "mplogin.sync.register", "email=x", "--timeout", "5"]
    while subprocess.run(command, env=environ, cwd=folder, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError("the worker does not answer")


def measure(what: dict[str, list[str]], environ: dict[str, str], folder: Path) -> dict[str, list[float]]:
    """Milliseconds of each round of each command, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in what}
    for round_ in range(ROUNDS + 1):
        for name, command in what.items():
            began = time.perf_counter()
            subprocess.run(
                command, env=environ, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            if round_:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def report(times: dict[str, list[float]]) -> None:
    """A markdown section."""
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"## A cold call, and start-up ({ROUNDS} rounds, whole processes, embedded broker)\n")
    print("| command | median ms | min ms | of the Celery script | of bare Python |\n|---|---|---|---|---|")
    for name, value in median.items():
        script, bare = value / median["Celery script"], value / median["python -c pass"]
        print(f"| `{name}` | {value:.1f} | {min(times[name]):.1f} | {script:.3f} | {bare:.2f} |")
    print()


if __name__ == "__main__":
    main()
