"""`mp replay` with confirms against loops in C, py-amqp and Celery, on a RabbitMQ node; and 100,000 messages compared.

All publish 1 KiB Celery messages to one queue, mandatory, with confirms. The queue keeps the last thousand: a node
slows down with the length of a queue, and the slow loops send fewer. The C loop (librabbitmq, built here where its
headers are installed) and `mp replay` keep a window of 500 under way; py-amqp and Celery wait for each confirm, as
their users do. The loops are timed inside, without their start; of `mp replay` the sending, and the whole process with
its start and its plan. `--quick` takes one round.
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
from urllib.parse import unquote, urlsplit

from bench_broker import broker
from bench_tail import build_c, message, table

from mpcli.recording.reader import Reader
from mpcli.recording.writer import Writer
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.publisher import CONFIRMED, Publisher

EXCHANGE, QUEUE, KEY = "mpbench", "mpbench.sync", "mpbench.sync.task"
TOTAL, ONE_BY_ONE = 100_000, 5_000
C, PY, CELERY = "C (librabbitmq), window of 500", "py-amqp, one by one", "Celery `send_task`, one by one"
SENT, WHOLE = "`mp replay`, sending", "`mp replay`, whole process"
COPY, COPY_WHOLE = "`mp replay --keep-id`, sending", "`mp replay --keep-id`, whole process"

C_LOOP = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#define WINDOW 500

int main(int argc, char **argv) {
    long total = atol(argv[6]), sent = 0, confirmed = 0;
    char body[1024], *names[] = {"lang", "task", "id", "origin", "argsrepr", "kwargsrepr", "root_id",
        "shadow", "eta", "expires", "group", "group_index", "parent_id"};
    char *values[] = {"py", "mpbench.sync.task", "3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d", "gen4711@host", "('a@b.c',)",
        "{'amount': 5}", "3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d"};
    memset(body, 'x', sizeof body);
    amqp_table_entry_t headers[13];
    for (int i = 0; i < 13; i++) {
        headers[i].key = amqp_cstring_bytes(names[i]);
        headers[i].value.kind = i < 7 ? AMQP_FIELD_KIND_UTF8 : AMQP_FIELD_KIND_VOID;
        if (i < 7) headers[i].value.value.bytes = amqp_cstring_bytes(values[i]);
    }
    amqp_basic_properties_t p;
    memset(&p, 0, sizeof p);
    p._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG | AMQP_BASIC_HEADERS_FLAG
        | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
    p.content_type = amqp_cstring_bytes("application/json");
    p.content_encoding = amqp_cstring_bytes("utf-8");
    p.correlation_id = amqp_cstring_bytes(values[2]);
    p.delivery_mode = 1;
    p.headers.num_entries = 13;
    p.headers.entries = headers;
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *s = amqp_tcp_socket_new(c);
    if (amqp_socket_open(s, argv[1], atoi(argv[2]))) return 1;
    amqp_rpc_reply_t r = amqp_login(c, argv[5], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, argv[3], argv[4]);
    if (r.reply_type != AMQP_RESPONSE_NORMAL) return 2;
    amqp_channel_open(c, 1);
    amqp_confirm_select(c, 1);
    amqp_bytes_t content = {sizeof body, body};
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    while (confirmed < total) {
        while (sent < total && sent - confirmed < WINDOW) {
            if (amqp_basic_publish(c, 1, amqp_cstring_bytes("mpbench"), amqp_cstring_bytes("mpbench.sync.task"),
                                   1, 0, &p, content)) return 3;
            sent++;
        }
        amqp_frame_t f;
        amqp_maybe_release_buffers(c);
        if (amqp_simple_wait_frame(c, &f) != AMQP_STATUS_OK) return 4;
        if (f.frame_type != AMQP_FRAME_METHOD || f.payload.method.id != AMQP_BASIC_ACK_METHOD) return 5;
        amqp_basic_ack_t *ack = f.payload.method.decoded;
        confirmed = ack->multiple ? (long)ack->delivery_tag : confirmed + 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%f\n", (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9);
    return 0;
}
"""

PY_LOOP = """
import sys, time, amqp
host, port, user, password, vhost, total = sys.argv[1:]
with amqp.Connection(f"{host}:{port}", user, password, virtual_host=vhost, confirm_publish=True) as connection:
    channel = connection.channel()
    headers = {"lang": "py", "task": "mpbench.sync.task", "id": "3f2a9c1b", "eta": None, "retries": 0}
    message = amqp.Message("x" * 1024, content_type="application/json", delivery_mode=1, application_headers=headers)
    began = time.perf_counter()
    for _ in range(int(total)):
        channel.basic_publish(message, "mpbench", "mpbench.sync.task", mandatory=True)
    print(time.perf_counter() - began)
"""

CELERY_LOOP = """
import sys, time
from celery import Celery
from kombu import Exchange
url, total = sys.argv[1:]
app = Celery(broker=url)
app.conf.update(broker_transport_options={"confirm_publish": True}, task_ignore_result=True)
how = dict(exchange=Exchange("mpbench", "topic", no_declare=True), routing_key="mpbench.sync.task", delivery_mode=1)
with app.producer_pool.acquire(block=True) as producer:
    def send():
        app.send_task("mpbench.sync.task", ("a@b.c",), {"text": "x" * 900}, producer=producer, **how)
    send()
    began = time.perf_counter()
    for _ in range(int(total)):
        send()
    print(time.perf_counter() - began)
"""


def varied(number: int) -> Message:
    """A message of its own id, with headers of many types."""
    one = message()
    task_id = f"{number:08x}-7a1e-4a53-8f0e-9d2f0a0b1c2d"
    types = {"small": Typed("s", number % 100), "when": Typed("T", number), "price": Typed("D", (2, number)), "f": 0.5}
    headers = {**one.headers, "id": task_id, "root_id": task_id, **types}
    return one.changed(headers=headers, correlation_id=task_id, reply_to=None)


class Bench:
    """A queue on a broker, and what fills it; each method gives messages a second."""

    def __init__(self, url: str, idle: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.env = {**os.environ, "MP_SYNC_URL": url, "MP_ASYNC_URL": idle}
        self.recording = folder / "messages.mprec"
        parts = urlsplit(url)
        self.where = [str(parts.hostname), str(parts.port), str(parts.username), unquote(str(parts.password))]
        self.where.append(unquote(parts.path[1:]) or "/")
        self.program = build_c(folder, C_LOOP)
        with connect(url) as connection:
            connection.request(EXCHANGE_DECLARE, EXCHANGE, "topic", False, True, False, False, False, {})
            connection.request(QUEUE_DECLARE, QUEUE, False, True, False, False, False, {"x-max-length": 1000})
            connection.request(QUEUE_BIND, QUEUE, EXCHANGE, "mpbench.sync.#", False, {})

    def timed(self, argv: list[str], count: int) -> float:
        """A loop that prints its seconds."""
        out = subprocess.run([*argv, str(count)], capture_output=True, text=True, check=True, timeout=300).stdout
        return count / float(out)

    def replay(self, *options: str) -> tuple[float, float]:
        """Sending alone, and the whole process."""
        began = time.perf_counter()
        argv = [sys.executable, "-m", "mpcli", "replay", str(self.recording), "--yes", "--json", *options]
        out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300, env=self.env).stdout
        whole = time.perf_counter() - began
        summary = json.loads(out.splitlines()[-1])
        if summary["confirmed"] != TOTAL:
            raise RuntimeError(f"not all were confirmed: {summary}")
        return TOTAL / summary["seconds"], TOTAL / whole

    def round(self) -> dict[str, float]:
        """All of them, in turn."""
        found = {C: self.timed([str(self.program), *self.where], TOTAL)} if self.program else {}
        found[COPY], found[COPY_WHOLE] = self.replay("--keep-id")
        found[SENT], found[WHOLE] = self.replay()
        found[PY] = self.timed([sys.executable, "-c", PY_LOOP, *self.where], ONE_BY_ONE)
        found[CELERY] = self.timed([sys.executable, "-c", CELERY_LOOP, self.url], ONE_BY_ONE)
        return found

    def taped(self, name: str, play: Callable[[], object]) -> Path:
        """What `mp tail --record` makes of what `play` publishes."""
        file = self.folder / name
        argv = [sys.executable, "-m", "mpcli", "tail", "mpbench.sync", "--bound", str(2 * TOTAL), "--limit", str(TOTAL)]
        tail = subprocess.Popen(
            [*argv, "--record", str(file)], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert tail.stderr is not None
        while "tapping" not in tail.stderr.readline():
            pass
        play()
        tail.wait(120)
        tail.stderr.close()
        return file


def publish(url: str) -> None:
    """So many different messages."""
    with connect(url) as connection:
        settled = Publisher(connection).publish(varied(number) for number in range(TOTAL))
        if sum(one.what == CONFIRMED for one in settled) != TOTAL:
            raise RuntimeError("not all were confirmed")


def equal(bench: Bench) -> str:
    """Record what is published, replay it, record that, and compare: counts, bodies, property bytes."""
    bench.recording = bench.taped("first.mprec", lambda: publish(bench.url))
    again = bench.taped("second.mprec", lambda: bench.replay("--keep-id"))
    pairs = zip(Reader(bench.recording), Reader(again), strict=True)
    same = sum(one.message == other.message for one, other in pairs)
    if same != TOTAL:
        raise RuntimeError(f"only {same} of {TOTAL} messages are the same")
    return (
        f"{same:,} messages recorded by `mp tail`, replayed and recorded again: every body and property byte is equal."
    )


def main(arguments: list[str]) -> None:
    """Print the section."""
    rounds = 1 if "--quick" in arguments else 5
    print("## Replay: 1 KiB Celery messages with confirms on RabbitMQ\n")
    with broker("rabbitmq") as running, broker("embedded") as beside, tempfile.TemporaryDirectory() as folder:
        bench = Bench(running.url, beside.url, Path(folder))
        with Writer(bench.recording) as writer:
            writer.write_messages("task", "sync", time.time(), list(map(varied, range(TOTAL))))
        found = [bench.round() for _ in range(rounds)]
        rates = {name: statistics.median(one[name] for one in found) for name in found[0]}
        print(table("publisher", rates, C))
        print()
        print(equal(bench))


if __name__ == "__main__":
    main(sys.argv[1:])
