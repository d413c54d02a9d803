"""The embedded broker side by side with a RabbitMQ node: start, memory, Celery calls, publishing, consuming.

Every figure is taken on both brokers in turn, several times, and the median is kept. The client is a raw socket that
sends prepared bytes and counts what comes, so that the broker is measured and not a client library.
`--quick` takes fewer rounds.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mpcli.brokers.choose import provider
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable
from mpcli.wire import methods as m
from mpcli.wire.frames import FRAME_METHOD, PROTOCOL_HEADER, FrameSplitter, encode_content
from mpcli.wire.properties import encode_properties

BODY = bytes(1024)
WINDOW = 500
CELERY_WORKER = """
import os
from celery import Celery

app = Celery(broker=os.environ["URL"], backend="rpc://")
app.conf.update(broker_connection_retry_on_startup=True, task_acks_late=True, worker_prefetch_multiplier=1)


@app.task(name="add")
def add(a, b):
    return a + b
"""


@dataclass
class Running:
    """A broker, how long it took to answer, and its processes."""

    url: str
    started: float
    processes: list[subprocess.Popen[bytes]]

    def memory(self) -> float:
        """Resident MiB of all of its processes."""
        pages = 0
        for process in self.processes:
            pages += sum(_pages(pid) for pid in _family(process.pid))
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(int(child)))]


# -- brokers -------------------------------------------------------------------------------------------------------


@contextmanager
def broker(kind: str) -> Iterator[Running]:
    """One broker of that kind, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mp-bench-") as name:
        port = _free_port()
        plan = provider(kind).plan(Path(name) / "data", {Mode.SYNC: port})
        started = time.perf_counter()
        processes = [
            subprocess.Popen(
                spec.argv,
                cwd=spec.cwd,
                env={**os.environ, **spec.env},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            for spec in plan.processes
        ]
        try:
            _await_answer(port)
            yield Running(plan.urls[Mode.SYNC], time.perf_counter() - started, processes)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_answer(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
                stream.sendall(PROTOCOL_HEADER)
                if stream.recv(1) == b"\x01":
                    return
        except OSError:
            pass
        time.sleep(0.005)
    raise TimeoutError("the broker did not answer")


# -- a raw client --------------------------------------------------------------------------------------------------


class Raw:
    """A connection with channel 1 open and in confirm mode."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        login = f"\0{unquote(parts.username or '')}\0{unquote(parts.password or '')}".encode()
        self.splitter = FrameSplitter()
        self.socket.sendall(
            PROTOCOL_HEADER
            + m.CONNECTION_START_OK.frame(0, {}, "PLAIN", login, "en_US")
            + m.CONNECTION_TUNE_OK.frame(0, 10, 131072, 0)
            + m.CONNECTION_OPEN.frame(0, unquote(parts.path[1:]) or "/")
            + m.CHANNEL_OPEN.frame(1)
            + m.CONFIRM_SELECT.frame(1, False)
        )
        self.until(m.CONFIRM_SELECT_OK)

    def until(self, method: m.Method) -> list[object]:
        while True:
            for kind, _, payload in self.splitter.feed(self.socket.recv(65536)):
                if kind == FRAME_METHOD and payload.startswith(method.prefix):
                    return method.decode(payload)

    def call(self, method: m.Method, answer: m.Method, *values: object) -> list[object]:
        self.socket.sendall(method.frame(1, *values))
        return self.until(answer)

    def declare(self, queue: str, *, durable: bool) -> None:
        self.call(m.QUEUE_DECLARE, m.QUEUE_DECLARE_OK, queue, False, durable, False, False, False, {})

    def publish(self, queue: str, count: int, *, persistent: bool) -> None:
        """Publish with a window of unconfirmed messages, and wait for the last confirm."""
        properties = encode_properties({"delivery_mode": 2 if persistent else 1})
        one = m.BASIC_PUBLISH.frame(1, "", queue, False, False) + encode_content(1, properties, BODY, 131072)
        step = WINDOW // 5
        sent = confirmed = 0
        ahead: set[int] = set()
        while confirmed < count:
            while sent < count and sent - confirmed + step <= WINDOW:
                # Not one more than `count`: `consume` counts bytes, and would take what is left over for deliveries.
                more = min(step, count - sent)
                self.socket.sendall(one * more)
                sent += more
            for kind, _, payload in self.splitter.feed(self.socket.recv(65536)):
                if kind == FRAME_METHOD:
                    tag, multiple = m.BASIC_ACK.decode(payload)
                    ahead.add(tag)
                    confirmed = max(confirmed, tag) if multiple else confirmed
            while confirmed + 1 in ahead:
                confirmed += 1

    def consume(self, queue: str, count: int) -> None:
        """Take that many messages, acknowledging in hundreds; all deliveries are equally long."""
        self.call(m.BASIC_QOS, m.BASIC_QOS_OK, 0, WINDOW, False)
        self.socket.sendall(m.BASIC_CONSUME.frame(1, queue, "tag", False, False, False, True, {}))
        deliver = m.BASIC_DELIVER.frame(1, "tag", 1, False, "", queue)
        properties = encode_properties({"delivery_mode": 1})
        size = len(deliver) + len(encode_content(1, properties, BODY, 131072))
        received = acknowledged = 0
        while received < count * size:
            received += len(self.socket.recv(1 << 18))
            done = received // size
            if done - acknowledged >= 100 or done == count:
                self.socket.sendall(m.BASIC_ACK.frame(1, done, True))
                acknowledged = done
        self.call(m.BASIC_CANCEL, m.BASIC_CANCEL_OK, "tag", False)


# -- what is measured ----------------------------------------------------------------------------------------------


def timed(actions: list[Callable[[], None]]) -> float:
    """Seconds until all of them, side by side, are done."""
    threads = [threading.Thread(target=action) for action in actions]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def throughput(url: str, connections: int, total: int, *, persistent: bool) -> tuple[float, float]:
    """Messages in a second, published and consumed."""
    clients = [Raw(url) for _ in range(connections)]
    names = [f"bench-{number}" for number in range(connections)]
    each = total // connections
    for client, name in zip(clients, names, strict=True):
        client.declare(name, durable=persistent)
    pairs = list(zip(clients, names, strict=True))
    into = timed([lambda c=c, n=n: c.publish(n, each, persistent=persistent) for c, n in pairs])
    out = timed([lambda c=c, n=n: c.consume(n, each) for c, n in pairs])
    for client, name in pairs:
        left = client.call(m.QUEUE_DELETE, m.QUEUE_DELETE_OK, name, False, False, False)
        assert left == [0], "what was published was not what was consumed: the figures would say nothing"
        client.socket.close()
    return total / into, total / out


@contextmanager
def celery_worker(url: str) -> Iterator[None]:
    """A Celery worker with one process, ready."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_celery.py").write_text(CELERY_WORKER)
        argv = [sys.executable, "-m", "celery", "-A", "bench_celery", "worker", "-c", "1", "--without-gossip"]
        process = subprocess.Popen(
            [*argv, "--without-mingle", "-n", f"bench-{time.time_ns()}@%h"],
            cwd=folder,
            env={**os.environ, "URL": url, "PYTHONPATH": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def celery_calls(url: str, count: int) -> list[float]:
    """Milliseconds of each `delay().get()`."""
    from celery import Celery

    app = Celery(broker=url, backend="rpc://", set_as_current=False)
    times = []
    app.send_task("add", (1, 2)).get(timeout=60)
    for _ in range(count):
        started = time.perf_counter()
        app.send_task("add", (1, 2)).get(timeout=60)
        times.append((time.perf_counter() - started) * 1000)
    app.close()
    return sorted(times)


def waiting(running: Running, count: int) -> float:
    """Resident MiB with that many persistent messages of 1 KiB waiting."""
    client = Raw(running.url)
    client.declare("waiting", durable=True)
    client.publish("waiting", count, persistent=True)
    memory = running.memory()
    client.call(m.QUEUE_DELETE, m.QUEUE_DELETE_OK, "waiting", False, False, False)
    client.socket.close()
    return memory


class Notes:
    """Every value of every figure of every broker."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = {}

    def __call__(self, figure: str, kind: str, value: float) -> None:
        self._values.setdefault(figure, {}).setdefault(kind, []).append(value)

    def medians(self) -> dict[str, dict[str, float]]:
        """The median of each."""
        return {
            figure: {kind: statistics.median(values) for kind, values in kinds.items()}
            for figure, kinds in self._values.items()
        }


def measure_calls(note: Notes, running: dict[str, Running], rounds: int) -> None:
    """Celery's own client and worker."""
    with ExitStack() as workers:
        for one in running.values():
            workers.enter_context(celery_worker(one.url))
        for _ in range(rounds):
            for kind, one in running.items():
                times = celery_calls(one.url, 300)
                note("Celery call p50, ms", kind, statistics.median(times))
                note("Celery call p99, ms", kind, times[int(len(times) * 0.99)])


def measure_throughput(note: Notes, running: dict[str, Running], rounds: int, total: int) -> None:
    """Transient and persistent, by one connection and by eight."""
    for persistent, connections in ((False, 1), (False, 8), (True, 1), (True, 8)):
        words = f"{'persistent' if persistent else 'transient'}, by {connections}"
        for _ in range(rounds):
            for kind, one in running.items():
                published, consumed = throughput(one.url, connections, total, persistent=persistent)
                note(f"publish with confirms, {words}, 1/s", kind, published)
                note(f"consume with acks, {words}, 1/s", kind, consumed)


def measure(running: dict[str, Running], rounds: int, total: int) -> dict[str, dict[str, float]]:
    """Every figure of every broker, by name."""
    note = Notes()
    for kind, one in running.items():
        note("memory idle, MiB", kind, one.memory())
    measure_calls(note, running, rounds)
    measure_throughput(note, running, rounds, total)
    for kind, one in running.items():
        note("memory with 100,000 waiting, MiB", kind, waiting(one, 100_000))
    return note.medians()


def starts(kind: str, rounds: int) -> float:
    """Seconds from nothing to an answer."""
    taken = []
    for _ in range(rounds):
        with broker(kind) as running:
            taken.append(running.started)
    return statistics.median(taken)


def table(figures: dict[str, dict[str, float]]) -> str:
    """Markdown: a row for each figure, the ratio says embedded over RabbitMQ."""
    lines = ["| figure | embedded | RabbitMQ | ratio |", "|---|---:|---:|---:|"]
    for figure, kinds in figures.items():
        mine, other = kinds["embedded"], kinds.get("rabbitmq")
        shown = (f"{other:,.2f}", f"{mine / other:.2f}") if other else ("", "")
        lines.append(f"| {figure} | {mine:,.2f} | {shown[0]} | {shown[1]} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    quick = "--quick" in arguments
    rounds, total = (1, 10_000) if quick else (5, 40_000)
    kinds = ["embedded", "rabbitmq"]
    try:
        start = {"start to ready, s": {kind: starts(kind, 1 if quick else 3) for kind in kinds}}
    except BrokerUnavailable:
        kinds = ["embedded"]
        start = {"start to ready, s": {"embedded": starts("embedded", 3)}}
    with ExitStack() as stack:
        running = {kind: stack.enter_context(broker(kind)) for kind in kinds}
        figures = {**start, **measure(running, rounds, total)}
    print("## The embedded broker and a RabbitMQ node\n")
    print("Messages of 1 KiB, a window of 500. A ratio above 1 is better for throughput, below 1 for the rest.\n")
    print(table(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
