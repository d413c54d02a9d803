"""What is declared, on which broker, and what a conflict says."""

from __future__ import annotations

import amqp
import pytest

from mpcli.bus.connecting import connect
from mpcli.bus.naming import Mode
from mpcli.bus.topology import DELIVERY_LIMIT, declare_topology
from mpcli.errors import BrokerRefused, BrokerUnreachable, InvalidName


def test_each_broker_holds_its_own_half(brokers):
    urls = {Mode.SYNC: brokers.sync.url, Mode.ASYNC: brokers.async_.url}
    declare_topology(["mpalpha", "mpbeta"], urls)
    declare_topology("mpalpha", urls)  # again: nothing changes
    assert set(brokers.sync.queues()) == {"mpalpha.sync", "mpbeta.sync"}
    declared = {queue for queue in brokers.async_.queues() if not queue.startswith("celery_delayed")}
    assert declared == {"mpalpha.async", "mpalpha.dead", "mpbeta.async", "mpbeta.dead"}


def test_the_arguments_are_those_of_the_table(broker):
    declare_topology("mpalpha", dict.fromkeys(Mode, broker.url))
    connection = connect(broker.url)
    try:
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": "mpalpha.dead",
        }
        channel = connection.channel()
        channel.exchange_declare("mpalpha", "topic", durable=True, auto_delete=False)
        channel.exchange_declare("mpalpha.dead", "fanout", durable=True, auto_delete=False)
        channel.queue_declare("mpalpha.sync", durable=True, auto_delete=False)
        channel.queue_declare("mpalpha.async", durable=True, auto_delete=False, arguments=arguments)
        channel.queue_declare("mpalpha.dead", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        channel.basic_publish(amqp.Message("a"), "mpalpha", "mpalpha.sync.x.y.z")
        channel.basic_publish(amqp.Message("b"), "mpalpha", "mpalpha.async.x")
        channel.basic_publish(amqp.Message("c"), "mpalpha.dead", "anything")
        for queue, body in (("mpalpha.sync", "a"), ("mpalpha.async", "b"), ("mpalpha.dead", "c")):
            assert channel.basic_get(queue, no_ack=True).body == body
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"x-queue-type": "quorum", "x-delivery-limit": 20, "x-dead-letter-exchange": "mpalpha.dead"}, "20"),
        ({"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-exchange": "else"}, "else"),
    ],
)
def test_a_conflict_tells_both_values(broker, arguments, told):
    connection = connect(broker.url)
    connection.channel().queue_declare("mpalpha.async", durable=True, auto_delete=False, arguments=arguments)
    connection.close()
    with pytest.raises(BrokerRefused) as caught:
        declare_topology("mpalpha", dict.fromkeys(Mode, broker.url))
    message = caught.value.message
    assert "queue mpalpha.async exists" in message
    assert f"= {told};" in message
    assert message.rpartition("= ")[2] in (str(DELIVERY_LIMIT), "mpalpha.dead")
    assert caught.value.hint


def test_an_exchange_of_another_type(broker):
    connection = connect(broker.url)
    connection.channel().exchange_declare("mpalpha", "direct", durable=True, auto_delete=False)
    connection.close()
    with pytest.raises(
        BrokerRefused, match=r"exchange mpalpha exists on the broker with type = direct; .* type = topic"
    ):
        declare_topology("mpalpha", dict.fromkeys(Mode, broker.url))


def test_a_worker_says_what_is_in_its_way(platform):
    connection = connect(platform.urls[Mode.SYNC])
    connection.channel().queue_declare("mpalpha.sync", durable=False, auto_delete=False)
    connection.close()
    with pytest.raises(AssertionError) as caught:
        platform.start("services:alpha_sync", processes=1)
    assert "mpalpha.sync cannot start: queue mpalpha.sync exists on the broker with durable = false" in str(
        caught.value
    )
    assert "Traceback" not in platform.logs()


def test_bad_names_and_no_broker():
    with pytest.raises(InvalidName):
        declare_topology(["mpalpha", "Mp-Bad"], {Mode.SYNC: "amqp://127.0.0.1:1//"})
    with pytest.raises(BrokerUnreachable):
        declare_topology("mpalpha", {Mode.SYNC: "amqp://127.0.0.1:1//"})
