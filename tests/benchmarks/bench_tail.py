"""`mp tail --json` and `mp tail --record` against a loop in C on librabbitmq and one on py-amqp, on a RabbitMQ node.

Each consumer has a queue of its own on one exchange. It is stopped (SIGSTOP) while the queue is filled and then let
go, so that its own speed is measured and not the publisher's; the time is that of the whole drain, to its exit. The C
loop is built here where librabbitmq-dev is installed (CFLAGS and LDFLAGS are respected), else it is left out. Then the
publisher's own throughput, with confirms: alone, with a second queue that nobody reads, which is the broker's share of
the price of any tap, and beside each consumer. A consumer must see every message, and drop none. `--quick` takes one
round.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench_broker import broker

from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import (
    BASIC_ACK,
    CONFIRM_SELECT,
    EXCHANGE_DECLARE,
    QUEUE_BIND,
    QUEUE_DECLARE,
    QUEUE_PURGE,
)

EXCHANGE, KEY = "mpbench", "mpbench.sync.task"
WINDOW = 500
# Instead of a consumer.
ALONE, UNREAD = [""], ["unread"]

C_LOOP = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <amqp.h>
#include <amqp_tcp_socket.h>

int main(int argc, char **argv) {
    long wanted = atol(argv[6]), seen = 0;
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *s = amqp_tcp_socket_new(c);
    if (amqp_socket_open(s, argv[1], atoi(argv[2]))) return 1;
    amqp_rpc_reply_t r = amqp_login(c, argv[5], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, argv[3], argv[4]);
    if (r.reply_type != AMQP_RESPONSE_NORMAL) return 2;
    amqp_channel_open(c, 1);
    amqp_queue_declare_ok_t *q = amqp_queue_declare(c, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    amqp_bytes_t name = amqp_bytes_malloc_dup(q->queue);
    amqp_queue_bind(c, 1, name, amqp_cstring_bytes("mpbench"), amqp_cstring_bytes("#"), amqp_empty_table);
    amqp_basic_qos(c, 1, 0, 1000, 0);
    amqp_basic_consume(c, 1, name, amqp_empty_bytes, 0, 0, 1, amqp_empty_table);
    fprintf(stderr, "tapping\n");
    while (seen < wanted) {
        amqp_envelope_t e;
        amqp_maybe_release_buffers(c);
        if (amqp_consume_message(c, &e, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) return 3;
        if (++seen % 200 == 0) amqp_basic_ack(c, 1, e.delivery_tag, 1);
        amqp_destroy_envelope(&e);
    }
    return 0;
}
"""

PY_LOOP = """
import sys, amqp
host, port, user, password, vhost, wanted = sys.argv[1:]
seen = 0
with amqp.Connection(f"{host}:{port}", user, password, virtual_host=vhost) as connection:
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True).queue
    channel.queue_bind(queue, "mpbench", "#")
    channel.basic_qos(0, 1000, False)
    def take(message):
        global seen
        seen += 1
        if seen % 200 == 0:
            channel.basic_ack(message.delivery_tag, True)
    channel.basic_consume(queue, callback=take)
    print("tapping", file=sys.stderr, flush=True)
    while seen < int(wanted):
        connection.drain_events()
"""


def message() -> Message:
    """A Celery message of protocol 2 with a body of 1 KiB."""
    headers = {"lang": "py", "task": KEY, "id": "3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d", "shadow": None, "eta": None}
    headers |= {"expires": None, "group": None, "group_index": None, "retries": 0, "timelimit": [None, None]}
    headers |= {"root_id": headers["id"], "parent_id": None, "argsrepr": "('a@b.c',)", "kwargsrepr": "{'amount': 5}"}
    headers |= {"origin": "gen4711@host", "ignore_result": False, "replaced_task_nesting": 0, "stamps": {}}
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([["a@b.c"], {"amount": 5, "text": ""}, embed])
    body = json.dumps([["a@b.c"], {"amount": 5, "text": "x" * (1024 - len(body))}, embed])
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers}
    properties |= {"delivery_mode": 1, "priority": 0, "correlation_id": headers["id"], "reply_to": "a-reply-queue"}
    return Message.build(EXCHANGE, KEY, properties, body.encode())


def publish(connection: Connection, total: int) -> float:
    """Publish with windowed confirms; messages a second."""
    frames = message().publish_frames(1, connection.frame_max, mandatory=False)
    started = time.perf_counter()
    sent = confirmed = 0
    while confirmed < total:
        count = min(WINDOW - (sent - confirmed), total - sent)
        if count > WINDOW // 2 or sent + count == total:
            connection.send(frames * count)
            sent += count
        incoming = connection.receive(time.monotonic() + 30)
        if incoming.method is BASIC_ACK:
            tag, multiple = incoming.values
            confirmed = int(str(tag)) - publish.base if multiple else confirmed + 1
    publish.base += total
    return total / (time.perf_counter() - started)


def build_c(folder: Path, code: str = C_LOOP) -> Path | None:
    """A C loop, or None where there is no compiler or no library."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, program = folder / "loop.c", folder / "loop"
    source.write_text(code)
    flags = shlex.split(os.environ.get("CFLAGS", "")), shlex.split(os.environ.get("LDFLAGS", ""))
    command = [compiler, "-O2", *flags[0], str(source), "-o", str(program), *flags[1], "-lrabbitmq"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return program if done.returncode == 0 else None


@contextmanager
def consumer(argv: list[str], url: str, idle: str) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that says on stderr that it is tapping; `mp` taps an idle broker beside, as it would in a platform."""
    env = {**os.environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": idle}
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    assert process.stderr is not None
    try:
        while line := process.stderr.readline():
            if b"tapping" in line:
                break
        else:
            raise RuntimeError(f"{argv[0]} ended with {process.wait()}")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def finish(argv: list[str], process: subprocess.Popen[bytes]) -> None:
    """Wait until it has seen all. Raises `RuntimeError` when it failed, or lost a message."""
    code = process.wait(300)
    said = process.stderr.read().decode() if process.stderr else ""
    if code or ("dropped" in said and ", 0 dropped" not in said):
        raise RuntimeError(f"{argv}: {code} {said}")


def drain(argv: list[str], url: str, idle: str, total: int) -> float:
    """Messages a second, from a full queue to the consumer's exit."""
    with connect(url) as connection, consumer(argv, url, idle) as process:
        connection.request(CONFIRM_SELECT, False)
        publish.base = 0
        process.send_signal(signal.SIGSTOP)
        publish(connection, total)
        started = time.perf_counter()
        process.send_signal(signal.SIGCONT)
        finish(argv, process)
        return total / (time.perf_counter() - started)


def consumers(url: str, folder: Path, total: int) -> dict[str, list[str]]:
    """What is compared, each as a command."""
    parts = urlsplit(url)
    where = [str(parts.hostname), str(parts.port), str(parts.username), unquote(str(parts.password))]
    where += [unquote(parts.path[1:]) or "/", str(total)]
    mp = [sys.executable, "-m", "mpcli", "tail", "mpbench.sync", "--bound", str(2 * total), "--limit", str(total)]
    found = {"py-amqp": [sys.executable, "-c", PY_LOOP, *where]}
    if (program := build_c(folder)) is not None:
        found["C (librabbitmq)"] = [str(program), *where]
    found["`mp tail --json`"] = [*mp, "--json"]
    found["`mp tail --record`"] = [*mp, "--record", str(folder / "recording")]
    return found


def beside(argv: list[str], url: str, idle: str, total: int) -> float:
    """The publisher's rate while a queue of a service is filled; `argv` is a consumer beside, or empty."""
    with connect(url) as connection:
        connection.request(QUEUE_DECLARE, "mpbench.sync", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mpbench.sync", EXCHANGE, "#", False, {})
        connection.request(CONFIRM_SELECT, False)
        publish.base = 0
        if argv == UNREAD:
            connection.request(QUEUE_DECLARE, "mpbench.unread", False, False, True, False, False, {})
            connection.request(QUEUE_BIND, "mpbench.unread", EXCHANGE, "#", False, {})
        if argv in (ALONE, UNREAD):
            rate = publish(connection, total)
        else:
            with consumer(argv, url, idle) as process:
                rate = publish(connection, total)
                finish(argv, process)
        connection.request(QUEUE_PURGE, "mpbench.sync", False)
    return rate


def rates(url: str, idle: str, total: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The median rate of each consumer that drains, and of the publisher beside each, in turn."""
    draining: dict[str, list[float]] = {}
    publishing: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = consumers(url, Path(folder), total)
        for _ in range(rounds):
            for name, argv in commands.items():
                draining.setdefault(name, []).append(drain(argv, url, idle, total))
                (Path(folder) / "recording").unlink(missing_ok=True)
            for name, argv in {"nothing": ALONE, "a second queue, unread": UNREAD, **commands}.items():
                publishing.setdefault(name, []).append(beside(argv, url, idle, total))
                (Path(folder) / "recording").unlink(missing_ok=True)
    return (
        {name: statistics.median(values) for name, values in draining.items()},
        {name: statistics.median(values) for name, values in publishing.items()},
    )


def table(title: str, rates: dict[str, float], unit: str) -> str:
    """A markdown table, the first row or the C loop being 1."""
    one = rates.get(unit) or next(iter(rates.values()))
    lines = [f"| {title} | messages/s | ratio |", "|---|---|---|"]
    lines += [f"| {name} | {rate:,.0f} | {rate / one:.2f} |" for name, rate in rates.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the section."""
    quick = "--quick" in arguments
    total, rounds = (50_000, 1) if quick else (50_000, 5)
    print("## Tail: 1 KiB Celery messages on RabbitMQ\n")
    with broker("rabbitmq") as running, broker("embedded") as idle:
        with connect(running.url) as connection:
            connection.request(EXCHANGE_DECLARE, EXCHANGE, "topic", False, True, False, False, False, {})
        draining, publishing = rates(running.url, idle.url, total, rounds)
        print(table("consumer, draining a full queue", draining, "C (librabbitmq)"))
        print()
        print(table("publishing with confirms beside", publishing, "nothing"))


if __name__ == "__main__":
    main(sys.argv[1:])
