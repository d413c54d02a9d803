"""Consumers: who gets what, how much of it, and what comes back."""

from __future__ import annotations

import time

import pytest
from amqp_client import PATIENCE

from mpcli.wire import methods as m


@pytest.fixture
def four(client):
    """A client with a queue `q` that holds 0, 1, 2, 3."""
    client.queue("q", exclusive=True)
    for number in range(4):
        client.publish("", "q", b"%d" % number)
    client.settled()
    return client


def bodies(events: list) -> list[bytes]:
    return [event.body for event in events]


def test_a_message_arrives_as_it_was_sent(client) -> None:
    client.queue("q", exclusive=True)
    properties = {
        "content_type": "application/json",
        "headers": {"n": None, "t": {"a": [1, 2.5, True, b"x", "é"]}},
        "delivery_mode": 1,
        "priority": 3,
        "correlation_id": "c",
        "reply_to": "r",
        "expiration": "60000",
        "message_id": "m",
        "timestamp": 1700000000,
        "type": "t",
        "app_id": "a",
        "cluster_id": "x",
    }
    client.publish("", "q", b"\x00\xff", **properties)
    client.settled()
    event = client.get("q")
    assert (event.body, event.properties) == (b"\x00\xff", properties)
    assert event.values == [1, False, "", "q", 0]


def test_an_empty_body_arrives(client) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q", b"")
    client.settled()
    assert client.get("q").body == b""


def test_consumers_take_turns(client) -> None:
    client.queue("q", exclusive=True)
    client.consume("q", "a")
    client.consume("q", "b")
    for _ in range(4):
        client.publish("", "q")
    tags = [event.values[0] for event in client.deliveries(4)]
    assert sorted(tags) == ["a", "a", "b", "b"]


def test_the_prefetch_count_is_each_consumers_own(four) -> None:
    four.call(1, m.BASIC_QOS, 0, 2, False)
    four.consume("q", "a")
    assert bodies([four.expect("basic.deliver") for _ in range(2)]) == [b"0", b"1"]
    four.consume("q", "b")
    assert bodies([four.expect("basic.deliver") for _ in range(2)]) == [b"2", b"3"]


def test_an_acknowledgement_makes_room(four) -> None:
    four.call(1, m.BASIC_QOS, 0, 1, False)
    four.consume("q", "a")
    for number in range(4):
        event = four.expect("basic.deliver")
        assert event.body == b"%d" % number
        four.send(1, m.BASIC_ACK, event.values[1], False)
    assert four.deliveries(0) == []


def test_the_global_prefetch_count_is_shared(four) -> None:
    four.call(1, m.BASIC_QOS, 0, 1, True)
    four.consume("q", "a")
    four.consume("q", "b")
    first = four.expect("basic.deliver")
    assert four.deliveries(0) == []
    four.send(1, m.BASIC_ACK, first.values[1], False)
    four.expect("basic.deliver")
    four.call(1, m.BASIC_QOS, 0, 0, False)
    assert len([four.expect("basic.deliver") for _ in range(2)]) == 2, "the other kind of count ends the shared one"


def test_what_several_consumers_give_back_goes_back_consumer_by_consumer(client) -> None:
    client.queue("q", max_length=1)
    client.consume("q", "b")
    client.publish("", "q", b"1")
    client.deliveries(1)
    client.call(1, m.BASIC_CANCEL, "b", False)
    client.consume("q", "a")
    client.publish("", "q", b"2")
    client.deliveries(1)
    client.call(1, m.BASIC_RECOVER, True)
    assert bodies(client.deliveries(2)) == [b"2", b"1"], "each is delivered before the next one could be too much"


def test_who_was_held_up_is_at_the_end_of_the_row(connect) -> None:
    first, second = connect(), connect()
    first.queue("q")
    first.call(1, m.BASIC_QOS, 0, 1, False)
    first.consume("q")
    for body in (b"1", b"2"):
        first.publish("", "q", body)
    held = first.deliveries(1)
    second.consume("q", no_ack=True)
    assert bodies(second.deliveries(1)) == [b"2"]
    first.send(1, m.BASIC_ACK, held[0].values[1], False)
    first.settled()
    for body in (b"3", b"4"):
        first.publish("", "q", body)
    assert (bodies(second.deliveries(1)), bodies(first.deliveries(1))) == ([b"3"], [b"4"])


def test_the_global_prefetch_count_holds_up_who_does_not_acknowledge(four) -> None:
    four.call(1, m.BASIC_QOS, 0, 1, True)
    four.consume("q", "a")
    held = four.deliveries(1)
    four.consume("q", "b", no_ack=True)
    assert four.deliveries(0) == []
    four.send(1, m.BASIC_CANCEL, "a", True)
    four.send(1, m.BASIC_ACK, held[0].values[1], False)
    assert bodies(four.deliveries(3)) == [b"1", b"2", b"3"]


def test_the_global_prefetch_count_leaves_no_queue_behind(four) -> None:
    four.call(1, m.BASIC_QOS, 0, 1, True)
    four.queue("other", exclusive=True)
    for _ in range(30):
        four.publish("", "q")
        four.publish("", "other")
    four.settled()
    four.consume("q", "a")
    four.consume("other", "b")
    consumers = []
    for _ in range(30):
        event = four.expect("basic.deliver")
        consumers.append(event.values[0])
        four.send(1, m.BASIC_ACK, event.values[1], False)
    # RabbitMQ draws lots. The first one came before there was a second consumer.
    assert set(consumers[1:]) == {"a", "b"}


def test_a_higher_priority_goes_first_until_it_is_busy(client) -> None:
    client.queue("q", exclusive=True)
    client.call(1, m.BASIC_QOS, 0, 1, False)
    client.consume("q", "low")
    client.consume("q", "high", priority=10)
    for _ in range(2):
        client.publish("", "q")
    client.receive(0.2)
    assert [client.expect("basic.deliver").values[0] for _ in range(2)] == ["high", "low"]


def test_a_single_active_consumer_hands_over(client) -> None:
    client.queue("q", exclusive=True, single_active_consumer=True)
    client.consume("q", "first")
    client.consume("q", "second")
    for _ in range(2):
        client.publish("", "q")
    assert {event.values[0] for event in client.deliveries(2)} == {"first"}
    client.call(1, m.BASIC_CANCEL, "first", False)
    client.publish("", "q")
    assert client.expect("basic.deliver").values[0] == "second"


@pytest.mark.parametrize("exclusive_first", [True, False])
def test_an_exclusive_consumer_is_alone(broker, connect, exclusive_first: bool) -> None:
    client = connect(1, 2)
    client.queue("q", exclusive=True)
    client.consume("q", exclusive=exclusive_first)
    with pytest.raises(Exception, match="403") as caught:
        client.consume("q", channel=2, exclusive=not exclusive_first)
    assert caught.value.text == f"ACCESS_REFUSED - queue 'q' in vhost '{broker.vhost}' in exclusive use"
    assert client.get("q") is None, "basic.get is allowed"


def test_nobody_is_alone_on_a_single_active_consumer(broker, client) -> None:
    client.queue("q", exclusive=True, single_active_consumer=True)
    with pytest.raises(Exception, match="403") as caught:
        client.consume("q", exclusive=True)
    assert caught.value.text == f"ACCESS_REFUSED - queue 'q' in vhost '{broker.vhost}' in exclusive use"


def test_nobody_is_alone_on_a_quorum_queue(client) -> None:
    client.queue("q", durable=True, queue_type="quorum")
    client.consume("q", "a", exclusive=True)
    client.consume("q", "b", exclusive=True)


def test_a_consumer_tag_is_used_once(client) -> None:
    client.queue("q", exclusive=True)
    client.consume("q", "t")
    with pytest.raises(Exception, match="530 NOT_ALLOWED - attempt to reuse consumer tag 't'"):
        client.consume("q", "t")


def test_whether_the_queue_has_a_name_is_asked_before_the_tag(connect) -> None:
    client = connect(1, 2)
    client.queue("q", exclusive=True, channel=2)
    client.consume("q", "t")
    with pytest.raises(Exception, match="404 NOT_FOUND - no previously declared queue"):
        client.consume("", "t")


def test_cancelling_a_stranger_succeeds(client) -> None:
    assert client.call(1, m.BASIC_CANCEL, "nobody", False) == ["nobody"]


def test_consumers_are_told_when_their_queue_is_deleted(connect) -> None:
    client = connect(1, 2)
    client.queue("q", exclusive=True)
    client.consume("q", "t")
    client.call(2, m.QUEUE_DELETE, "q", False, False, False)
    assert client.expect("basic.cancel", 1).values == ["t", True]


def test_who_deletes_its_own_queue_hears_of_that_first(client) -> None:
    client.queue("q", exclusive=True)
    client.consume("q", "t")
    client.send(1, m.QUEUE_DELETE, "q", False, False, False)
    answers = [client.expect(("queue.delete-ok", "basic.cancel")).name for _ in range(2)]
    assert answers == ["queue.delete-ok", "basic.cancel"]


def test_who_cannot_be_told_is_not_told(connect) -> None:
    client = connect(1, 2, capabilities={})
    client.queue("q", exclusive=True)
    client.consume("q", "t")
    client.call(2, m.QUEUE_DELETE, "q", False, False, False)
    client.settled()
    assert not client.events


def test_what_comes_back_takes_its_old_place(four) -> None:
    taken = [four.get("q", no_ack=False) for _ in range(3)]
    four.send(1, m.BASIC_NACK, taken[1].values[0], True, True)
    again = [four.get("q", no_ack=False) for _ in range(3)]
    assert [(event.body, event.values[1]) for event in again] == [(b"0", True), (b"1", True), (b"3", False)]


def test_rejected_messages_are_gone(four) -> None:
    event = four.get("q", no_ack=False)
    four.send(1, m.BASIC_REJECT, event.values[0], False)
    four.settled()
    assert four.bodies("q") == [b"1", b"2", b"3"]


def test_a_closed_channel_gives_back_what_it_held(connect) -> None:
    client = connect(1, 2)
    client.queue("q", exclusive=True)
    client.publish("", "q")
    client.consume("q")
    client.expect("basic.deliver")
    client.call(1, m.CHANNEL_CLOSE, 200, "", 0, 0)
    event = client.get("q", channel=2)
    assert (event.body, event.values[1]) == (b"body", True)


def test_a_lost_connection_gives_back_what_it_held(connect) -> None:
    one, other = connect(), connect()
    one.queue("q", auto_delete=False)
    one.publish("", "q")
    one.consume("q")
    one.expect("basic.deliver")
    one.close()
    other.consume("q")
    event = other.expect("basic.deliver")
    assert (event.body, event.values[2]) == (b"body", True)


@pytest.mark.parametrize(
    ("method", "values", "tag"),
    [
        (m.BASIC_ACK, (7, False), 7),
        (m.BASIC_ACK, (7, True), 7),
        (m.BASIC_ACK, (0, False), 0),
        (m.BASIC_NACK, (7, False, True), 7),
        (m.BASIC_REJECT, (7, True), 7),
    ],
)
def test_an_unknown_tag_is_406(four, method, values: tuple, tag: int) -> None:
    four.send(1, method, *values)
    refusal = four.refused()
    assert (refusal.scope, refusal.code) == ("channel", 406)
    assert refusal.text == f"PRECONDITION_FAILED - unknown delivery tag {tag}"


def test_tag_zero_is_all(four) -> None:
    for _ in range(3):
        four.get("q", no_ack=False)
    four.send(1, m.BASIC_ACK, 0, True)
    assert four.bodies("q") == [b"3"]


def test_recover_can_go_unanswered(four) -> None:
    four.get("q", no_ack=False)
    four.send(1, m.BASIC_RECOVER_ASYNC, True)
    four.settled()
    event = four.get("q")
    assert (event.body, event.values[1]) == (b"0", True)


def test_recover_delivers_again(four) -> None:
    four.consume("q", "t")
    first = four.deliveries(4)
    four.call(1, m.BASIC_RECOVER, True)
    again = four.deliveries(4)
    assert bodies(again) == bodies(first)
    assert all(event.values[2] for event in again)


def test_what_a_connection_held_is_not_given_to_its_other_channels_when_it_ends(connect) -> None:
    client, other = connect(1, 2, 3), connect()
    other.queue("q")
    other.publish("", "q", b"1")
    for channel in (1, 2, 3):
        client.consume("q", channel=channel)
    client.expect("basic.deliver")
    client.call(0, m.CONNECTION_CLOSE, 200, "", 0, 0)
    assert not client.events
    other.consume("q")
    assert other.expect("basic.deliver").body == b"1"


def test_a_quorum_queue_counts_deliveries(client) -> None:
    client.queue("dead", durable=True)
    client.queue(
        "q",
        durable=True,
        queue_type="quorum",
        delivery_limit=2,
        dead_letter_exchange="",
        dead_letter_routing_key="dead",
    )
    client.publish("", "q", headers={"z": 1, "a": 2})
    counts = []
    client.consume("q")
    for _ in range(3):
        event = client.expect("basic.deliver")
        counts.append((event.values[2], event.headers.get("x-delivery-count")))
        client.send(1, m.BASIC_REJECT, event.values[1], True)
    assert [(again, count and count.value) for again, count in counts] == [(False, None), (True, 1), (True, 2)]
    client.consume("dead", "dead")
    letter = client.expect("basic.deliver")
    assert letter.headers["x-death"][0]["reason"] == "delivery_limit"


@pytest.mark.parametrize(
    ("limit", "order"),
    [({}, "1 3 2 0"), ({"delivery_limit": 5}, "2 0 1 3")],
    ids=["without a limit", "with a delivery limit"],
)
def test_where_a_quorum_queue_puts_what_comes_back(connect, limit: dict[str, int], order: str) -> None:
    client = connect(1, 2)
    client.queue("q", durable=True, queue_type="quorum", **limit)
    for number in range(4):
        client.publish("", "q", b"%d" % number)
    client.settled()
    tags = [client.get("q", channel=2, no_ack=False).values[0] for _ in range(3)]
    client.send(2, m.BASIC_NACK, tags[2], False, True)
    client.send(2, m.BASIC_REJECT, tags[0], True)
    client.call(2, m.CHANNEL_CLOSE, 200, "", 0, 0)
    deadline = time.monotonic() + PATIENCE
    while client.queue("q", passive=True)[1] < 4:
        assert time.monotonic() < deadline
    assert b" ".join(client.bodies("q")).decode() == order


def test_global_prefetch_does_not_fit_quorum_queues(broker, client) -> None:
    client.queue("q", durable=True, queue_type="quorum")
    client.call(1, m.BASIC_QOS, 0, 5, True)
    with pytest.raises(Exception, match="540") as caught:
        client.consume("q")
    assert caught.value.text == f"NOT_IMPLEMENTED - queue 'q' in vhost '{broker.vhost}' does not support global qos"
