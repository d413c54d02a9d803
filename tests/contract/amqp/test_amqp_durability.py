"""What is there after the broker was stopped and started again, and what happens when its memory is short."""

from __future__ import annotations

import pytest

from mpcli.wire import methods as m


@pytest.fixture
def broker(own_broker):
    """These tests do to their broker what nobody else could bear."""
    return own_broker


def test_what_is_durable_survives_a_restart(broker, connect) -> None:
    client = connect()
    client.exchange("kept", "topic", durable=True)
    client.exchange("gone", "topic")
    client.queue("classic", durable=True, max_length=10)
    client.queue("quorum", durable=True, queue_type="quorum")
    client.queue("transient")
    client.call(1, m.CONFIRM_SELECT, False)
    for queue in ("classic", "quorum"):
        client.bind(queue, "kept", "a.#")
    for number, mode in ((1, 2), (2, 1), (3, 2)):
        client.publish("kept", "a.b", b"%d" % number, delivery_mode=mode, headers={"n": number})
    confirmed: set[int] = set()
    while len(confirmed) < 3:  # in any order: each queue confirms for itself
        tag, multiple = client.expect("basic.ack").values
        confirmed |= set(range(1, tag + 1)) if multiple else {tag}
    assert client.get("classic", no_ack=False).body == b"1"

    broker.restart()
    client = connect()
    assert set(broker.queues()) == {"classic", "quorum"}
    first = client.get("classic")
    assert (first.body, first.values[1], first.headers) == (b"1", True, {"n": 1})
    assert client.bodies("classic") == [b"3"], "a transient message does not survive in a classic queue"
    assert client.bodies("quorum") == [b"1", b"2", b"3"]
    client.publish("kept", "a.c", b"new")
    client.settled()
    assert client.bodies("classic") == [b"new"], "the binding is there again"
    with pytest.raises(Exception, match="404"):
        client.exchange("gone", passive=True)


def test_a_restart_adds_nothing_to_the_delivery_count(broker, connect) -> None:
    client = connect()
    client.queue("limited", durable=True, queue_type="quorum", delivery_limit=9)
    client.call(1, m.CONFIRM_SELECT, False)
    client.publish("", "limited", b"back twice", delivery_mode=2)
    client.expect("basic.ack")
    for _ in range(2):
        taken = client.get("limited", no_ack=False)
        client.send(1, m.BASIC_NACK, taken.values[0], False, True)
    client.settled()

    broker.restart()
    assert connect().get("limited").headers["x-delivery-count"].value == 2


def test_publishers_wait_while_memory_is_short_and_nothing_is_lost(broker, connect) -> None:
    publisher, consumer = connect(), connect()
    publisher.queue("unread")
    consumer.queue("mine", exclusive=True)
    published: list[bytes] = []

    def publish() -> None:
        published.append(b"%d" % len(published))
        publisher.publish("", "unread", published[-1])

    with broker.short_of_memory():
        # A publisher is told when it publishes, and a connection may learn of the mark a moment later than others.
        while not [event for event in publisher.events if event.name == "connection.blocked"]:
            assert len(published) < 1000
            publish()
            publisher.receive(0.1)
        assert publisher.expect("connection.blocked").values == ["low on memory"]
        before = len(published)
        for _ in range(3):
            publish()
        early = consumer.bodies("unread")
        assert len(early) <= before, "what comes behind the mark waits in the socket"
        assert consumer.get("mine") is None, "who does not publish is served"
    publisher.expect("connection.unblocked")
    publisher.settled()
    assert early + consumer.bodies("unread") == published
    publisher.call(1, m.QUEUE_DELETE, "unread", False, False, False)
