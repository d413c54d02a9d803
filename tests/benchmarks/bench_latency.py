"""A broker that is 20 ms away: how many of these each way of calling a task pays, and what a batch makes of them.

A proxy holds back every byte for half a round trip in each direction; the same calls are made through one that does
not. Round trips are the difference, in round trips: processes and workers cost the same on both ways.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
ROUND_TRIP = 0.020
LINES = 2000
BIN = Path(sys.executable).parent
APP = """
from celery import Celery
from kombu import Exchange, Queue

app = Celery("mplogin", broker={url!r}, backend="rpc://")
exchange = Exchange("mplogin", type="topic")
app.conf.task_queues = [
    Queue(f"mplogin.{{mode}}", exchange, routing_key=f"mplogin.{{mode}}.#") for mode in ("sync", "async")
]


@app.task(name="mplogin.sync.register")
def register(email):
    return {{"email": email}}


@app.task(name="mplogin.async.mail", ignore_result=True)
def mail(email):
    pass
"""
SCRIPT = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1], backend="rpc://")
app.send_task("mplogin.sync.register", kwargs={"email": "a@b.c"}, exchange="mplogin",
              routing_key="mplogin.sync.register").get(timeout=10)
"""
WARM = """
import json, sys, time
url, count = sys.argv[1], 40
def timed(call):
    for _ in range(3):
        call()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    print(json.dumps(sorted(times)[count // 2] * 1000))
"""
WARM_CELERY = (
    WARM
    + """
from celery import Celery
app = Celery(broker=url, backend="rpc://")
timed(lambda: app.send_task("mplogin.sync.register", kwargs={"email": "a@b.c"}, exchange="mplogin",
                            routing_key="mplogin.sync.register").get(timeout=10))
"""
)
WARM_MP = (
    WARM
    + """
from mpcli.bus.naming import TaskName
from mpcli.wire.open_caller import OpenCaller
caller, name = OpenCaller(url), TaskName.parse("mplogin.sync.register")
timed(lambda: caller.call(name, [], {"email": "a@b.c"}, timeout=10))
"""
)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            if not data:
                writer.close()
                return
            writer.write(data)

    delivering = asyncio.create_task(deliver())
    try:
        while data := await reader.read(65536):
            waiting.put_nowait((loop.time() + delay, data))
    except OSError:
        pass
    waiting.put_nowait((loop.time() + delay, b""))
    await delivering


@contextmanager
def proxy(port: int, delay: float) -> Iterator[int]:
    """The port of a way to the broker on which each direction takes `delay` seconds."""
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    started = threading.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, upstream_writer, delay), _pump(upstream_reader, writer, delay))

    async def start() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        started.set()

    def run() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    yield ready[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def main() -> None:
    """Start broker, worker and both ways; measure; print the tables."""
    from mpcli.brokers.embedded import DevBroker

    with tempfile.TemporaryDirectory() as name, DevBroker() as broker:
        folder, port = Path(name), int(broker.url.rpartition(":")[2].partition("/")[0])
        (folder / "peer.py").write_text(APP.format(url=broker.url))
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "peer", "worker", "-c", "1", "-l", "ERROR", "--without-gossip"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with proxy(port, 0.0) as near, proxy(port, ROUND_TRIP / 2) as far:
                urls = [broker.url.replace(str(port), str(way)) for way in (near, far)]
                wait_for_worker(urls[0], folder)
                cold(urls, folder)
                warm(urls, folder)
                batch(urls, folder)
        finally:
            worker.terminate()
            worker.wait(20)


def environment(url: str) -> dict[str, str]:
    """Of a process that calls by this way."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": url}


def run(command: list[str], url: str, folder: Path) -> float:
    """Milliseconds of the process."""
    began = time.perf_counter()
    subprocess.run(command, env=environment(url), cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def wait_for_worker(url: str, folder: Path) -> None:
    """Until a call is answered."""
    deadline = time.monotonic() + 60
    while True:
        try:
            run([str(BIN / "mp"), "call", "mplogin.sync.register", "email=x", "--timeout", "5"], url, folder)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def cold(urls: list[str], folder: Path) -> None:
    """Whole processes."""
    commands = {
        "`mp call`, a sync task": lambda _: [str(BIN / "mp"), "call", "mplogin.sync.register", "email=a"],
        "`mp call`, an async task, its workers asked first": lambda _: [
            str(BIN / "mp"), "call", "mplogin.async.mail", "email=a",
        ],
        "Celery script, `send_task().get()`": lambda url: [sys.executable, "-c", SCRIPT, url],
    }  # fmt: skip
    print(f"## A broker {ROUND_TRIP * 1000:.0f} ms away ({ROUNDS} rounds, embedded broker)\n")
    print("| whole process | near, ms | far, ms | round trips |\n|---|---:|---:|---:|")
    for what, command in commands.items():
        times: list[list[float]] = [[], []]
        for round_ in range(ROUNDS + 1):
            for way, url in enumerate(urls):
                took = run(command(url), url, folder)
                if round_:
                    times[way].append(took)
        near, far = (statistics.median(one) for one in times)
        print(f"| {what} | {near:.0f} | {far:.0f} | {(far - near) / ROUND_TRIP / 1000:.1f} |")
    print()


def warm(urls: list[str], folder: Path) -> None:
    """One call behind the other over what is open."""
    print("| warm, p50 of 40 | near, ms | far, ms | round trips |\n|---|---:|---:|---:|")
    for what, script in (("`OpenCaller.call`", WARM_MP), ("Celery `.get()`", WARM_CELERY)):
        near, far = (
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", script, url], cwd=folder, check=True, capture_output=True, timeout=120
                ).stdout
            )
            for url in urls
        )
        print(f"| {what} | {near:.2f} | {far:.2f} | {(far - near) / ROUND_TRIP / 1000:.1f} |")
    print()


def batch(urls: list[str], folder: Path) -> None:
    """Lines a second, against one process for each."""
    (folder / "lines").write_text("".join(f'{{"email": "{number}"}}\n' for number in range(LINES)))
    print(f"| `mp call --batch`, {LINES} lines | near, calls/s | far, calls/s |\n|---|---:|---:|")
    for concurrency in (1, 8, 64):
        rates = []
        for url in urls:
            count = LINES if concurrency > 1 else LINES // 10
            lines = (folder / "lines").read_text().splitlines(keepends=True)[:count]
            began = time.perf_counter()
            subprocess.run(
                [str(BIN / "mp"), "call", "mplogin.sync.register", "--batch", "--concurrency", str(concurrency)],
                env=environment(url), cwd=folder, input="".join(lines).encode(), check=True, capture_output=True,
            )  # fmt: skip
            rates.append(count / (time.perf_counter() - began))
        print(f"| {concurrency} at a time | {rates[0]:.0f} | {rates[1]:.0f} |")
    print()


if __name__ == "__main__":
    main()
