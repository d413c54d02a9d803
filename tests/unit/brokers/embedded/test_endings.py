"""What a connection leaves behind when it ends."""

from __future__ import annotations

from amqp_client import Client

from mpcli.brokers.embedded import DevBroker
from mpcli.wire import methods as m


def test_what_it_held_of_a_quorum_queue_counts_once_however_many_channels_it_had() -> None:
    with DevBroker() as broker:
        client, other = (Client("127.0.0.1", broker.port).handshake("guest", "guest", "/") for _ in range(2))
        for channel in (1, 2, 3):
            client.open(channel)
        other.open()
        other.queue("q", durable=True, queue_type="quorum", delivery_limit=1)
        other.publish("", "q")
        for channel in (1, 2, 3):
            client.consume("q", channel=channel)
        client.expect("basic.deliver")
        client.call(0, m.CONNECTION_CLOSE, 200, "", 0, 0)
        other.consume("q")
        assert other.expect("basic.deliver").headers["x-delivery-count"].value == 1
        client.close()
        other.close()


def test_what_was_given_back_to_a_quorum_queue_is_last_after_a_restart_too() -> None:
    with DevBroker() as broker:
        client = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        client.open()
        client.queue("q", durable=True, queue_type="quorum")
        for number in range(3):
            client.publish("", "q", b"%d" % number)
        client.send(1, m.BASIC_REJECT, client.get("q", no_ack=False).values[0], True)
        client.settled()
        client.close()
        broker.restart()
        client = Client("127.0.0.1", broker.port).handshake("guest", "guest", "/")
        client.open()
        assert client.bodies("q") == [b"1", b"2", b"0"]
        client.close()
