"""What a client was told to be safe is safe: `kill -9` in the middle of a stream, and a damaged file."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from amqp import Connection, Message
from amqp_client import Client

from mpcli.brokers.embedded import DevBroker
from mpcli.errors import BrokerUnavailable
from mpcli.wire import methods as m
from mpcli.wire.frames import PROTOCOL_HEADER, FrameSplitter, encode_content
from mpcli.wire.properties import encode_properties

MESSAGES = 10_000


@contextmanager
def running(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A broker in a process of its own, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mpcli.brokers.embedded", "--port", "0", "--data", str(data), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("ready on 127.0.0.1:"), process.stderr.read()
        yield process, int(line.rsplit(":", 1)[1])
    finally:
        process.kill()
        process.communicate(timeout=60)


def connected(port: int, **options: object) -> Connection:
    connection = Connection(f"127.0.0.1:{port}", **options)
    connection.connect()
    return connection


def publish_until_killed(process: subprocess.Popen[str], port: int, kill_at: int) -> int:
    """Publish as fast as it goes, kill the broker at that confirm. Returns the highest one that came."""
    stream = socket.create_connection(("127.0.0.1", port), timeout=60)
    properties = encode_properties({"delivery_mode": 2})
    stream.sendall(
        PROTOCOL_HEADER
        + m.CONNECTION_START_OK.frame(0, {}, "PLAIN", b"\0guest\0guest", "en_US")
        + m.CONNECTION_TUNE_OK.frame(0, 10, 131072, 0)
        + m.CONNECTION_OPEN.frame(0, "/")
        + m.CHANNEL_OPEN.frame(1)
        + m.QUEUE_DECLARE.frame(1, "q", False, True, False, False, False, {})
        + m.CONFIRM_SELECT.frame(1, False)
    )
    splitter, confirmed, sent = FrameSplitter(), 0, 0
    try:
        while confirmed < MESSAGES:
            batch = range(sent, min(sent + 50, MESSAGES))
            stream.sendall(
                b"".join(
                    m.BASIC_PUBLISH.frame(1, "", "q", False, False)
                    + encode_content(1, properties, b"%06d" % number + bytes(200), 131072)
                    for number in batch
                )
            )
            sent += len(batch)
            if not (data := stream.recv(65536)):
                break  # killed when all was sent: then nothing is written that could fail
            for kind, _, payload in splitter.feed(data):
                if kind == 1 and payload.startswith(m.BASIC_ACK.prefix):
                    confirmed = max(confirmed, m.BASIC_ACK.decode(payload)[0])
            if confirmed >= kill_at:
                process.send_signal(signal.SIGKILL)
                kill_at = MESSAGES + 1
    except OSError:
        pass
    finally:
        stream.close()
    return confirmed


@pytest.mark.parametrize("attempt", range(3))
def test_nothing_confirmed_is_lost(tmp_path: Path, attempt: int) -> None:
    kill_at = random.randrange(1, MESSAGES)
    with running(tmp_path) as (process, port):
        confirmed = publish_until_killed(process, port, kill_at)
        process.wait(60)
    assert confirmed >= kill_at, "the stream ended before the broker was killed"
    kept = kept_in(tmp_path)
    assert kept[:confirmed] == list(range(confirmed)), f"killed at {kill_at}, confirmed {confirmed}"
    assert kept == sorted(set(kept)), "in order, and none twice"


def kept_in(folder: Path) -> list[int]:
    """The numbers of the messages that a broker finds there."""
    with running(folder) as (_, port), closing(connected(port)) as connection:
        channel = connection.channel()
        kept = []
        while (message := channel.basic_get("q", no_ack=True)) is not None:
            kept.append(int(message.body[:6]))
    return kept


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of a running process is Linux's")
def test_a_full_disk_ends_the_broker_and_loses_nothing_confirmed(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        # A file that may not grow fails in the way of a disk without room.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        confirmed = publish_until_killed(process, port, MESSAGES + 1)
        assert process.wait(60) == 6
        assert "the journal cannot be written" in process.stderr.read()
    assert 0 < confirmed < MESSAGES
    assert kept_in(tmp_path)[:confirmed] == list(range(confirmed))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of a running process is Linux's")
@pytest.mark.parametrize("at", ["the end of a connection", "its loss", "a commit"])
def test_a_full_disk_ends_the_broker_wherever_it_is_found_out(tmp_path: Path, at: str) -> None:
    with running(tmp_path) as (process, port):
        client = Client("127.0.0.1", port).handshake("guest", "guest", "/")
        client.open()
        client.queue("q", durable=True)
        client.queue("gone with its consumer", durable=True, auto_delete=True)
        client.consume("gone with its consumer")
        client.call(1, m.TX_SELECT if at == "a commit" else m.CONFIRM_SELECT, *([] if at == "a commit" else [False]))
        size = max(path.stat().st_size for path in tmp_path.iterdir())
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        publish = m.BASIC_PUBLISH.frame(1, "", "q", False, False) + encode_content(
            1, encode_properties({"delivery_mode": 2}), bytes(100_000), 131072
        )
        if at == "its loss":
            client.close()
        else:
            refused, commit = m.BASIC_QOS.frame(1, 5, 0, False), m.TX_COMMIT.frame(1)
            client.send_bytes(publish + (commit if at == "a commit" else refused))
            client.end()
            assert not client.events, "nothing was promised"
        assert process.wait(40) == 6
        assert process.stderr.read().startswith("the journal cannot be written")
        client.close()


def test_a_disk_without_room_is_not_taken_for_a_damaged_file(tmp_path: Path) -> None:
    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100, 100));"
    program = f"{limited} from mpcli.brokers.embedded.__main__ import main; raise SystemExit(main())"
    argv = [sys.executable, "-c", program, "--port", "0", "--data", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith(f"{tmp_path / 'journal.sqlite3'}: ")
    assert not list(tmp_path.glob("*damaged*"))


@pytest.mark.parametrize("attempt", range(3))
def test_a_dead_letter_is_in_one_of_its_two_queues(tmp_path: Path, attempt: int) -> None:
    count, kill_at = 1000, random.randrange(1, 1000)
    with running(tmp_path) as (process, port):
        client = Client("127.0.0.1", port).handshake("guest", "guest", "/")
        client.open()
        client.queue("dead", durable=True)
        client.queue("q", durable=True, dead_letter_exchange="", dead_letter_routing_key="dead")
        client.call(1, m.TX_SELECT)
        for number in range(count):
            client.publish("", "q", b"%06d" % number, delivery_mode=2)
        client.call(1, m.TX_COMMIT)
        client.open(2)
        client.consume("q", channel=2)
        # One by one: each of the broker's turns, and so each of its transactions, carries out some of them.
        with suppress(OSError):
            for tag in range(1, count + 1):
                if tag == kill_at:
                    process.send_signal(signal.SIGKILL)
                client.send(2, m.BASIC_REJECT, tag, False)
        process.wait(40)
        client.close()
    with running(tmp_path) as (_, port):
        client = Client("127.0.0.1", port).handshake("guest", "guest", "/")
        client.open()
        kept = {queue: [int(body) for body in client.bodies(queue)] for queue in ("q", "dead")}
        client.close()
    assert sorted(kept["q"] + kept["dead"]) == list(range(count)), f"killed at {kill_at}"
    assert kept["dead"] == sorted(kept["dead"])


def test_what_was_acknowledged_does_not_come_back(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        connection = connected(port)
        channel = connection.channel()
        channel.confirm_select()
        channel.queue_declare("q", durable=True, auto_delete=False)
        for number in range(3):
            channel.basic_publish_confirm(Message(str(number), delivery_mode=2), "", "q")
        channel.basic_ack(channel.basic_get("q").delivery_tag)
        held = channel.basic_get("q")
        # A later answer proves that the acknowledgement was carried out; its transaction is of the same turn.
        channel.basic_publish_confirm(Message("3", delivery_mode=2), "", "q")
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        connection.collect()
        assert held.body == "1"
    with running(tmp_path) as (_, port), closing(connected(port)) as connection:
        channel = connection.channel()
        found = []
        while (message := channel.basic_get("q", no_ack=True)) is not None:
            found.append(message.body)
    assert found == ["1", "2", "3"]


def test_it_stops_cleanly_when_asked(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(tmp_path) as (process, port):
            connection = connected(port)
            process.send_signal(number)
            with pytest.raises(Exception, match="CONNECTION_FORCED"):
                connection.drain_events(timeout=60)
            assert process.wait(60) == 0
            connection.collect()


@pytest.mark.parametrize("damage", ["text", "zeros", "cut", "another version", "table"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    with DevBroker(data=tmp_path) as broker, closing(connected(broker.port)) as connection:
        connection.channel().queue_declare("q", durable=True, auto_delete=False)
    file = tmp_path / "journal.sqlite3"
    spoil(file, damage)
    with running(tmp_path) as (process, port):
        with closing(connected(port)) as connection:
            connection.channel().queue_declare("new", durable=True, auto_delete=False)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    kept = [path.name for path in tmp_path.iterdir() if "damaged" in path.name]
    assert kept
    assert "set aside as " + min(kept, key=len) in told
    with DevBroker(data=tmp_path) as broker:
        assert broker.queues() == {"new": 0}


def spoil(file: Path, damage: str) -> None:
    if damage == "text":
        file.write_text("this is no database, and longer than the header of one " * 100)
    elif damage == "zeros":
        data = bytearray(file.read_bytes())
        data[100:4096] = bytes(3996)
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        with closing(sqlite3.connect(file)) as db:
            db.execute(
                "PRAGMA user_version = 99" if damage == "another version" else "UPDATE queue SET arguments = 'x'"
            )
            db.commit()


def test_two_brokers_do_not_share_a_folder(tmp_path: Path) -> None:
    with DevBroker(data=tmp_path), pytest.raises(BrokerUnavailable, match="in use by another broker"):
        DevBroker(data=tmp_path).start()


def test_its_files_are_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with DevBroker(data=folder):
        assert os.stat(folder).st_mode & 0o077 == 0
        assert os.stat(folder / "journal.sqlite3").st_mode & 0o177 == 0
