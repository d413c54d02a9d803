"""How long `mp up` takes until all is ready, and where the time goes, against what four workers cannot do without.

The floor is four Pythons, side by side, that import what a Celery worker imports and do nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
MP = str(Path(sys.executable).parent / "mp")
IMPORTS = "import celery.bin.celery, celery.apps.worker, celery.worker.consumer, celery.concurrency.prefork, amqp"


def floor() -> float:
    """Seconds for four processes that only import Celery's worker."""
    began = time.monotonic()
    processes = [subprocess.Popen([sys.executable, "-c", IMPORTS]) for _ in range(4)]
    for process in processes:
        process.wait()
    return time.monotonic() - began


def ports() -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return ["--sync-port", str(one.getsockname()[1]), "--async-port", str(two.getsockname()[1])]


def up_and_down(folder: Path, broker: str) -> dict[str, float]:
    """One whole round: the split that `mp up -d` tells, the command as a whole, and `mp down`."""
    began = time.monotonic()
    done = subprocess.run(
        [MP, "up", "-d", "--broker", broker, *ports()], cwd=folder, capture_output=True, text=True, check=True
    )
    command = time.monotonic() - began
    ready = json.loads(done.stdout.splitlines()[-1])
    began = time.monotonic()
    subprocess.run([MP, "down"], cwd=folder, capture_output=True, check=True)
    down = time.monotonic() - began
    split = {name: ready[name] for name in ("brokers", "topology", "workers", "seconds")}
    return {**split, "command": command, "down": down}


def measure(brokers: list[str]) -> tuple[float, dict[str, dict[str, float]]]:
    """Medians of all rounds, brokers in turn."""
    with tempfile.TemporaryDirectory(prefix="mp-bench-") as name:
        folder = Path(name)
        for service, example in (("mplogin", "login"), ("mpwallet", "wallet")):
            subprocess.run(
                [MP, "new", "service", service, "--example", example], cwd=folder, capture_output=True, check=True
            )
        floors, rounds = [], {broker: [] for broker in brokers}
        for _ in range(ROUNDS):
            floors.append(floor())
            for broker in brokers:
                rounds[broker].append(up_and_down(folder, broker))
    medians = {
        broker: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for broker, found in rounds.items()
    }
    return statistics.median(floors), medians


def main() -> None:
    has_rabbitmq = shutil.which("rabbitmq-server") or os.path.isdir("/usr/lib/rabbitmq")
    lowest, medians = measure(["embedded", *(["rabbitmq"] if has_rabbitmq else [])])
    print("## `mp up -d` with two services (two brokers, four workers)\n")
    print(
        f"Seconds, medians of {ROUNDS}. Four bare processes that import what a Celery worker imports: {lowest:.2f} s.\n"
    )
    heads = ("broker", "brokers", "topology, meanwhile", "workers", "all ready", "of the floor", "command", "`mp down`")
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|")
    for broker, row in medians.items():
        print(
            f"| {broker} | {row['brokers']:.2f} | {row['topology']:.2f} | {row['workers']:.2f} | {row['seconds']:.2f} "
            f"| {row['seconds'] / lowest:.1f} x | {row['command']:.2f} | {row['down']:.2f} |"
        )


if __name__ == "__main__":
    main()
