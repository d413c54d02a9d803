"""The brokers that tests get are what conftest.py promises."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import amqp
import pytest
from ports import free_port


def connect(broker):
    connection = amqp.Connection(
        f"{broker.host}:{broker.port}", broker.user, broker.password, virtual_host=broker.vhost, connect_timeout=30
    )
    connection.connect()
    return connection


def declare_and_publish(channel, queue, **arguments):
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message(b"x", delivery_mode=2), "", queue)


def test_a_vhost_is_fresh_and_its_queues_are_counted(broker):
    assert broker.queues() == {}
    with connect(broker) as connection:
        channel = connection.channel()
        declare_and_publish(channel, "classic")
        declare_and_publish(channel, "quorum", **{"x-queue-type": "quorum"})
        channel.queue_declare("empty ü", durable=True, auto_delete=False)
        assert broker.queues() == {"classic": 1, "quorum": 1, "empty ü": 0}


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_message_out_for_delivery_is_counted_until_it_is_acknowledged(broker, kind):
    with connect(broker) as connection:
        channel = connection.channel()
        declare_and_publish(channel, "work", **{"x-queue-type": kind})
        message = channel.basic_get("work")
        assert broker.queues() == {"work": 1}
        channel.basic_ack(message.delivery_tag)
        await_condition(lambda: broker.queues() == {"work": 0}, 30)


def test_a_pair_is_two_vhosts(brokers):
    assert brokers.sync.vhost != brokers.async_.vhost
    with connect(brokers.sync) as connection:
        declare_and_publish(connection.channel(), "here")
    assert brokers.sync.queues() == {"here": 1}
    assert brokers.async_.queues() == {}


def test_connections_are_closed_by_the_broker(broker):
    connection = connect(broker)
    broker.close_connections()
    with pytest.raises(amqp.ConnectionForced):
        connection.drain_events(timeout=30)


def test_a_shared_broker_refuses_to_restart(broker):
    with pytest.raises(pytest.fail.Exception, match="own_broker"):
        broker.restart()


def test_an_own_broker_keeps_what_is_durable_over_a_restart(own_broker):
    with connect(own_broker) as connection:
        declare_and_publish(connection.channel(), "kept")
    started = time.monotonic()
    own_broker.restart()
    assert time.monotonic() - started < 60
    assert own_broker.queues() == {"kept": 1}
    with connect(own_broker) as connection:
        assert connection.channel().basic_get("kept", no_ack=True).body == b"x"


HOLD_LOCK = """
import fcntl, sys, time
file = open(sys.argv[1], "wb")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.rabbitmq
def test_a_node_ends_when_its_test_run_is_killed(needs_rabbitmq, tmp_path, processes_of):
    lock, folder = tmp_path / "lock", tmp_path / "node"
    folder.mkdir()
    run = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(lock)], stdout=subprocess.PIPE)
    with run:
        assert run.stdout.readline() == b"held\n"
        script = Path(__file__).with_name("rabbitmq_guard.py")
        guard = subprocess.Popen([sys.executable, str(script), str(folder), str(free_port()), str(lock)])
        await_condition(lambda: (folder / "node.json").exists() or guard.poll() is not None, 90)
        assert guard.poll() is None
        run.kill()
        assert guard.wait(30) == 0
    await_condition(lambda: not processes_of(folder), 30)


def await_condition(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
