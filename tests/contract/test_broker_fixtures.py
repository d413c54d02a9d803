"""The brokers that tests get are what conftest.py promises."""

from __future__ import annotations

import time

import amqp
import pytest


def connect(broker):
    connection = amqp.Connection(
        f"{broker.host}:{broker.port}", broker.user, broker.password, virtual_host=broker.vhost, connect_timeout=5
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
        connection.drain_events(timeout=10)


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
