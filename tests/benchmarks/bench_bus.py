"""`Caller.call` against Celery's `.get()`, and against py-amqp alone on one connection, warm, in one run.

Run as a script it starts its own brokers (the embedded one, and RabbitMQ where it is installed) and workers.
`bench_bus.py SYNC_URL ASYNC_URL` measures on brokers that run already.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mpcli.bus.naming import Mode

ROUNDS, CALLS = 8, 100
WORKERS = """
import os
from celery import Celery
from kombu import Exchange, Queue
from mpcli.bus import service_apps

sync_app, async_app = service_apps("mpbench")


@sync_app.task
def add(a, b):
    return a + b


stock = Celery(broker=os.environ["MP_SYNC_URL"].replace("amqp://", "pyamqp://"), backend="rpc://", set_as_current=False)
stock.conf.task_queues = [Queue("mpstock.sync", Exchange("mpstock", type="topic"), routing_key="mpstock.sync.#")]
stock.conf.broker_connection_retry_on_startup = True


@stock.task(name="mpstock.sync.add", shared=False)
def stock_add(a, b):
    return a + b
"""
Row = dict[str, object]


@contextmanager
def worker(folder: Path, app: str, queue: str, urls: dict[Mode, str]) -> Iterator[None]:
    """A worker process that serves the queue, ready."""
    environment = {**os.environ, "MP_SYNC_URL": urls[Mode.SYNC], "MP_ASYNC_URL": urls[Mode.ASYNC]}
    argv = [sys.executable, "-m", "celery", "-A", f"bench_workers:{app}", "worker", "-Q", queue, "-c", "2"]
    argv += ["-n", f"{queue}.{uuid.uuid4().hex[:6]}@%h", "--without-gossip", "--without-mingle"]
    with (folder / f"{app}.log").open("wb") as log:
        process = subprocess.Popen(
            argv, env={**environment, "PYTHONPATH": str(folder)}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while not _consumers(urls[Mode.SYNC], queue):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / f"{app}.log").read_text())
            time.sleep(0.1)
        yield
    finally:
        # Nothing of value is running in it: its warm shutdown is not what is measured.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _consumers(url: str, queue: str) -> int:
    from amqp.exceptions import NotFound

    from mpcli.bus.connecting import connect

    connection = connect(url)
    try:
        return int(connection.channel().queue_declare(queue, passive=True).consumer_count)
    except NotFound:
        return 0
    finally:
        connection.close()


def by_celery(url: str, service: str) -> Callable[[], object]:
    """The shortest that Celery's client needs: no confirm, no mandatory, one long-lived thread."""
    from celery import Celery

    app = Celery(broker=url.replace("amqp://", "pyamqp://"), backend="rpc://", set_as_current=False)
    name = f"{service}.sync.add"
    route = {"exchange": service, "exchange_type": "topic", "routing_key": name}
    return lambda: app.send_task(name, (1,), {"b": 2}, **route).get(timeout=30)


def by_caller(urls: dict[Mode, str], service: str) -> Callable[[], object]:
    """The bus: confirms, mandatory, expiration, safe for threads."""
    from mpcli.bus import Caller

    caller = Caller(urls[Mode.SYNC], urls[Mode.ASYNC], timeout=30)
    return lambda: caller.call(f"{service}.sync.add", 1, b=2)


def by_amqp(url: str, service: str) -> Callable[[], object]:
    """The floor in Python: py-amqp, one thread that writes and then reads, nothing checked."""
    import amqp

    from mpcli.bus.connecting import connect
    from mpcli.bus.headers import task_headers
    from mpcli.bus.messages import encode_body, sender

    connection = connect(url)
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    replies: list[amqp.Message] = []
    channel.basic_consume(queue, no_ack=True, callback=replies.append)
    name = f"{service}.sync.add"

    def call() -> object:
        task_id = str(uuid.uuid4())
        body = encode_body(name, (1,), {"b": 2})
        headers = task_headers(name, task_id, (1,), {"b": 2}, body, origin=sender())
        kind = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 1}
        message = amqp.Message(body, application_headers=headers, correlation_id=task_id, reply_to=queue, **kind)
        channel.basic_publish(message, service, name)
        while not replies:
            connection.drain_events(timeout=30)
        return json.loads(replies.pop().body)["result"]

    return call


def calls(urls: dict[Mode, str], service: str) -> list[Row]:
    """Latency of one warm call by each client, in turns."""
    url = urls[Mode.SYNC]
    ways = {"Celery `.get()`": by_celery(url, service), "`Caller.call`": by_caller(urls, service)}
    ways["py-amqp alone"] = by_amqp(url, service)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, call in ways.items():
            for _ in range(CALLS):
                started = time.perf_counter()
                assert call() == 3
                if round_number:  # the first round warms up
                    times[name].append(time.perf_counter() - started)
    base = statistics.median(times["Celery `.get()`"])
    return [
        {
            "client": name,
            "p50": statistics.median(all_times) * 1000,
            "p99": statistics.quantiles(all_times, n=100)[98] * 1000,
            "ratio": statistics.median(all_times) / base,
        }
        for name, all_times in times.items()
    ]


def measure(urls: dict[Mode, str]) -> list[Row]:
    """Rows for a service's worker (late acks, events) and for one with Celery's defaults."""
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="bench-bus-"))
    try:
        (folder / "bench_workers.py").write_text(WORKERS)
        for service, app, kind in (("mpbench", "sync_app", "service_apps"), ("mpstock", "stock", "stock Celery")):
            with worker(folder, app, f"{service}.sync", urls):
                rows += [{"worker": kind, **row} for row in calls(urls, service)]
    finally:
        shutil.rmtree(folder)
    return rows


@contextmanager
def embedded() -> Iterator[dict[Mode, str]]:
    """An embedded broker in a process of its own."""
    code = (
        "import sys\nfrom mpcli.brokers.embedded import DevBroker\n"
        "with DevBroker() as broker:\n    print(broker.url, flush=True)\n    sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield dict.fromkeys(Mode, process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(20)


@contextmanager
def rabbitmq() -> Iterator[dict[Mode, str]]:
    """A private node, by the recipe of the contract tests."""
    import socket

    guard_script = Path(__file__).parents[1] / "contract" / "rabbitmq_guard.py"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-rabbitmq-")))
        lock = stack.enter_context((folder / "lock").open("w"))
        import fcntl

        fcntl.lockf(lock, fcntl.LOCK_EX)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        node = folder / "node"
        node.mkdir()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        guard = subprocess.Popen(
            [sys.executable, str(guard_script), str(node), str(port), str(folder / "lock")], **quiet
        )
        try:
            deadline = time.monotonic() + 60
            while not (node / "node.json").exists():
                if guard.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the RabbitMQ node did not start")
                time.sleep(0.1)
            yield dict.fromkeys(Mode, json.loads((node / "node.json").read_text())["url"])
        finally:
            guard.terminate()
            guard.wait(40)


def table(title: str, rows: list[Row]) -> str:
    """A markdown table."""
    lines = [f"### {title}", "", "| worker | client | p50 ms | p99 ms | of `.get()` |", "|---|---|---:|---:|---:|"]
    lines += ["| {worker} | {client} | {p50:.2f} | {p99:.2f} | {ratio:.2f} |".format(**row) for row in rows]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> None:
    """Print the section of the benchmarks' page."""
    print("## A warm call\n")
    print(f"{ROUNDS * CALLS} calls of `add(1, b=2)` by each client, one at a time, in turns of {CALLS}.\n")
    if argv:
        print(table("the brokers that were named", measure(dict(zip(Mode, (argv * 2)[:2], strict=True)))))
        return
    with embedded() as urls:
        print(table("embedded broker", measure(urls)))
    from mpcli.brokers.rabbitmq.installation import find_installation
    from mpcli.errors import BrokerUnavailable

    try:
        find_installation()
    except BrokerUnavailable as error:
        print(f"RabbitMQ was not measured: {error.message}")
        return
    with rabbitmq() as urls:
        print(table("RabbitMQ", measure(urls)))


if __name__ == "__main__":
    main(sys.argv[1:])
