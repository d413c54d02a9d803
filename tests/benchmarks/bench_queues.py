"""Emptying a queue into a file on a RabbitMQ node: `mp purge` against py-amqp, which consumes, or gets one by one.

1 KiB Celery messages in a classic and in a quorum queue. The peers write each message's body as a line and acknowledge
it, as such scripts do; nothing makes their file safe. `mp purge` is timed as a whole process, its start included; it
keeps all of a message, and has it on the disk before it is removed. `--quick` takes one round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench_broker import broker
from bench_tail import message, table

from mpcli.recording.reader import Reader
from mpcli.wire.handshake import connect
from mpcli.wire.methods import QUEUE_DECLARE, QUEUE_PURGE
from mpcli.wire.publisher import Publisher

TOTAL, ONE_BY_ONE = 50_000, 3_000
CONSUME, GET, PURGE = "py-amqp, consuming, prefetch 500", "py-amqp, `basic.get`", "`mp purge`, whole process"
KINDS = {"classic": {}, "quorum": {"x-queue-type": "quorum"}}


def main(arguments: list[str]) -> None:
    """Print the section."""
    rounds = 1 if "--quick" in arguments else 5
    print("## Purge: emptying a queue of 1 KiB Celery messages into a file, on RabbitMQ\n")
    with broker("rabbitmq") as running, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, arguments_of in KINDS.items():
            with connect(running.url) as connection:
                connection.request(QUEUE_DECLARE, kind, False, True, False, False, False, arguments_of)
            found = [one_round(running.url, kind, folder) for _ in range(rounds)]
            rates = {name: statistics.median(one[name] for one in found) for name in found[0]}
            print(table(f"{kind} queue", rates, CONSUME))
            print()


def one_round(url: str, queue: str, folder: Path) -> dict[str, float]:
    """Messages a second of each way, in turn."""
    found = {
        CONSUME: timed(url, queue, TOTAL, lambda: consume(url, queue, TOTAL, folder / "consumed")),
        GET: timed(url, queue, ONE_BY_ONE, lambda: get(url, queue, ONE_BY_ONE, folder / "got")),
        PURGE: timed(url, queue, TOTAL, lambda: purge(url, queue, folder / "purged.mprec")),
    }
    if sum(1 for _ in Reader(folder / "purged.mprec")) != TOTAL:
        raise SystemExit("the backup does not hold all of them")
    return found


def timed(url: str, queue: str, total: int, work: Callable[[], None]) -> float:
    """Fill the queue, then do the work."""
    with connect(url) as connection:
        connection.request(QUEUE_PURGE, queue, False)
        one = message().changed(exchange="", routing_key=queue, delivery_mode=2)
        for _ in Publisher(connection).publish(one for _ in range(total)):
            pass
    started = time.perf_counter()
    work()
    return total / (time.perf_counter() - started)


def peer(url: str) -> object:
    """A py-amqp connection."""
    import amqp

    parts = urlsplit(url)
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port}", userid=parts.username, password=unquote(parts.password or "")
    )
    connection.connect()
    return connection


def consume(url: str, queue: str, total: int, path: Path) -> None:
    """Write and acknowledge what comes."""
    connection = peer(url)
    channel = connection.channel()  # type: ignore[attr-defined]
    channel.basic_qos(0, 500, False)
    left = total
    with path.open("w") as file:

        def take(one: object) -> None:
            nonlocal left
            file.write(one.body + "\n")  # type: ignore[attr-defined]
            channel.basic_ack(one.delivery_tag)  # type: ignore[attr-defined]
            left -= 1

        channel.basic_consume(queue, callback=take)
        while left:
            connection.drain_events(timeout=30)  # type: ignore[attr-defined]
    connection.close()  # type: ignore[attr-defined]


def get(url: str, queue: str, total: int, path: Path) -> None:
    """The same, asking for each."""
    connection = peer(url)
    channel = connection.channel()  # type: ignore[attr-defined]
    with path.open("w") as file:
        for _ in range(total):
            one = channel.basic_get(queue)
            file.write(one.body + "\n")
            channel.basic_ack(one.delivery_tag)
    connection.close()  # type: ignore[attr-defined]


def purge(url: str, queue: str, path: Path) -> None:
    """`mp purge`."""
    path.unlink(missing_ok=True)
    env = {**os.environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": url}
    command = [str(Path(sys.executable).parent / "mp"), "purge", queue, "--broker", "sync", "--backup", str(path)]
    subprocess.run([*command, "--yes"], env=env, cwd=path.parent, check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main(sys.argv[1:])
