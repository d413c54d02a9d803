"""Queues: declaring, arguments, exclusive ones, deleting."""

from __future__ import annotations

import time

import pytest
from amqp_client import PATIENCE, Closed

from mpcli.wire import methods as m
from mpcli.wire.codec import Typed


def refused(client, name: str, **options):
    with pytest.raises(Exception, match=r"\d") as caught:
        client.queue(name, **options)
    return caught.value


def test_the_server_names_a_queue_that_has_no_name(client) -> None:
    name, messages, consumers = client.queue(exclusive=True)
    assert name.startswith("amq.gen-")
    assert (messages, consumers) == (0, 0)
    client.publish("", name)
    client.settled()
    assert client.get("").body == b"body", "the empty name stands for the queue last declared"


def test_without_a_queue_declared_the_empty_name_is_404(client) -> None:
    client.send(1, m.BASIC_GET, "", True)
    refusal = client.refused()
    assert (refusal.code, refusal.text) == (404, "NOT_FOUND - no previously declared queue")


def test_a_declaration_tells_messages_and_consumers(client) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q")
    client.settled()
    assert client.queue("q", passive=True) == ["q", 1, 0]
    client.consume("q")
    client.expect("basic.deliver")
    assert client.queue("q", passive=True) == ["q", 0, 1], "what is unacknowledged does not wait"


def test_a_missing_queue_is_404(broker, client) -> None:
    refusal = refused(client, "nowhere", passive=True)
    assert (refusal.scope, refusal.code, refusal.method) == ("channel", 404, (50, 10))
    assert refusal.text == f"NOT_FOUND - no queue 'nowhere' in vhost '{broker.vhost}'"


def test_reserved_names_are_403(client) -> None:
    assert refused(client, "amq.mine").text == (
        "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"
    )


def test_a_name_that_the_broker_gave_is_declared_passively_only(client) -> None:
    name = client.queue(exclusive=True)[0]
    assert client.queue(name, passive=True) == [name, 0, 0]
    assert refused(client, name, exclusive=True).text == (
        f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'"
    )


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"expires": 0}, "invalid arg 'x-expires' for {}: {{value_zero,0}}"),
        ({"expires": "1"}, "invalid arg 'x-expires' for {}: \"expected integer, got longstr\""),
        ({"message_ttl": -1}, "invalid arg 'x-message-ttl' for {}: {{value_negative,-1}}"),
        ({"message_ttl": 2**40}, "invalid arg 'x-message-ttl' for {}: {{value_too_large,1099511627776}}"),
        ({"max_length": -1}, "invalid arg 'x-max-length' for {}: {{value_negative,-1}}"),
        ({"max_length": 1.5}, "invalid arg 'x-max-length' for {}: \"expected integer, got double\""),
        ({"max_priority": 256}, "invalid arg 'x-max-priority' for {}: {{max_value_exceeded,256}}"),
        ({"overflow": "foo"}, "invalid arg 'x-overflow' for {}: invalid_overflow"),
        ({"queue_mode": "foo"}, "invalid arg 'x-queue-mode' for {}: \"unsupported queue mode 'foo'\""),
        ({"queue_type": "foo"}, "invalid arg 'x-queue-type' for {}: \"unsupported queue type 'foo'\""),
        ({"dead_letter_exchange": 5}, "invalid type 'signedint' for arg 'x-dead-letter-exchange' in {}"),
        (
            {"dead_letter_routing_key": "k"},
            "invalid arg 'x-dead-letter-routing-key' for {}: routing_key_but_no_dlx_defined",
        ),
        (
            {"single_active_consumer": 1},
            "invalid arg 'x-single-active-consumer' for {}: {{unacceptable_type,signedint}}",
        ),
        ({"delivery_limit": 5}, "invalid arg 'x-delivery-limit' for {} of queue type rabbit_classic_queue"),
        ({"queue_type": "quorum"}, "invalid property 'non-durable' for {}"),
        ({"queue_type": "quorum", "durable": True, "exclusive": True}, "invalid property 'exclusive-owner' for {}"),
        ({"queue_type": "quorum", "durable": True, "auto_delete": True}, "invalid property 'auto-delete' for {}"),
        (
            {"queue_type": "quorum", "durable": True, "max_priority": 5},
            "invalid arg 'x-max-priority' for {} of queue type rabbit_quorum_queue",
        ),
    ],
)
def test_arguments_that_are_refused(broker, client, options: dict, wrong: str) -> None:
    refusal = refused(client, "q", **options)
    assert (refusal.scope, refusal.code) == ("channel", 406)
    assert refusal.text == "PRECONDITION_FAILED - " + wrong.format(f"queue 'q' in vhost '{broker.vhost}'")


def test_unknown_arguments_are_accepted(client) -> None:
    client.queue("q", exclusive=True, anything=[1, {"a": None}])
    client.queue("q", exclusive=True)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"message_ttl": 101, "max_length": 5}, "'x-message-ttl' for {}: received '101' but current is '100'"),
        (
            {"message_ttl": 100},
            "'x-max-length' for {}: received none but current is the value '5' of type 'signedint'",
        ),
        ({"message_ttl": 100, "max_length": None}, "'x-max-length' for {}: received none but current is '5'"),
        (
            {"message_ttl": 100, "max_length": 5, "expires": None},
            "'x-expires' for {}: received the value 'undefined' of type 'void' but current is none",
        ),
        (
            {"message_ttl": 100, "max_length": 5, "dead_letter_exchange": "x"},
            "'x-dead-letter-exchange' for {}: received the value 'x' of type 'longstr' but current is none",
        ),
        (
            {"message_ttl": 100, "max_length": 5, "auto_delete": True},
            "'auto_delete' for {}: received 'true' but current is 'false'",
        ),
    ],
)
def test_another_declaration_is_406(broker, client, changed: dict, wrong: str) -> None:
    client.queue("q", durable=True, message_ttl=100, max_length=5)
    refusal = refused(client, "q", durable=True, **changed)
    assert refusal.code == 406
    assert refusal.text == "PRECONDITION_FAILED - inequivalent arg " + wrong.format(
        f"queue 'q' in vhost '{broker.vhost}'"
    )


def test_the_same_declaration_in_other_widths_is_accepted(client) -> None:
    client.queue("q", durable=True, message_ttl=100, max_length=5)
    client.queue("q", durable=True, message_ttl=Typed("l", 100), max_length=Typed("b", 5), queue_type="classic")


def test_another_durability_is_406(broker, client) -> None:
    client.queue("q", durable=True)
    assert refused(client, "q").text == (
        f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '{broker.vhost}': "
        "received 'false' but current is 'true'"
    )


@pytest.mark.parametrize(
    ("method", "values"),
    [
        (m.QUEUE_DECLARE, ("q", True, False, False, False, False, {})),
        (m.QUEUE_DECLARE, ("q", False, False, True, False, False, {})),
        (m.QUEUE_BIND, ("q", "amq.direct", "k", False, {})),
        (m.QUEUE_PURGE, ("q", False)),
        (m.QUEUE_DELETE, ("q", False, False, False)),
        (m.BASIC_GET, ("q", True)),
        (m.BASIC_CONSUME, ("q", "", False, False, False, False, {})),
    ],
)
def test_the_exclusive_queue_of_another_connection_is_405(broker, connect, method, values: tuple) -> None:
    owner, stranger = connect(), connect()
    owner.queue("q", exclusive=True)
    stranger.send(1, method, *values)
    refusal = stranger.refused()
    assert (refusal.scope, refusal.code) == ("channel", 405)
    assert refusal.text.startswith(
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '{broker.vhost}'."
    )


def test_exclusive_queues_go_with_their_connection(connect) -> None:
    owner, other = connect(), connect()
    owner.queue("q", exclusive=True)
    owner.call(0, m.CONNECTION_CLOSE, 200, "", 0, 0)
    assert refused(other, "q", passive=True).code == 404


def test_an_auto_delete_queue_goes_with_its_last_consumer(client) -> None:
    client.queue("q", auto_delete=True)
    tags = [client.consume("q"), client.consume("q")]
    client.call(1, m.BASIC_CANCEL, tags[0], False)
    client.queue("q", passive=True)
    client.call(1, m.BASIC_CANCEL, tags[1], False)
    deadline = time.monotonic() + PATIENCE
    while not [event for event in client.events if event.name == "basic.return"]:
        assert time.monotonic() < deadline
        client.publish("", "q", mandatory=True)
        client.settled()


def test_deleting_tells_how_many_messages_waited(client) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q")
    client.publish("", "q")
    client.settled()
    assert client.call(1, m.QUEUE_DELETE, "q", False, False, False) == [2]
    assert client.call(1, m.QUEUE_DELETE, "q", False, False, False) == [0], "what is not there is deleted too"


def test_purging_takes_what_waits_only(client) -> None:
    client.queue("q", exclusive=True)
    for _ in range(3):
        client.publish("", "q")
    client.settled()
    held = client.get("q", no_ack=False)
    assert client.call(1, m.QUEUE_PURGE, "q", False) == [2]
    client.send(1, m.BASIC_REJECT, held.values[0], True)
    client.settled()
    assert len(client.bodies("q")) == 1


@pytest.mark.parametrize(("if_unused", "wrong"), [(True, "in use"), (False, "not empty")])
def test_deleting_under_a_condition(broker, client, if_unused: bool, wrong: str) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q")
    if if_unused:
        client.consume("q")
    client.settled()
    with pytest.raises(Exception, match="406") as caught:
        client.call(1, m.QUEUE_DELETE, "q", if_unused, not if_unused, False)
    assert caught.value.text == f"PRECONDITION_FAILED - queue 'q' in vhost '{broker.vhost}' {wrong}"


def test_an_unused_queue_expires(client) -> None:
    # In one write: a queue must not expire between the two.
    client.send_bytes(
        m.QUEUE_DECLARE.frame(1, "used", False, False, False, False, False, {"x-expires": 150})
        + m.BASIC_CONSUME.frame(1, "used", "", False, True, False, False, {})
    )
    client.expect("basic.consume-ok")
    client.queue("q", expires=150)
    deadline = time.monotonic() + PATIENCE
    returned = False
    while not returned:
        assert time.monotonic() < deadline
        client.publish("", "q", mandatory=True)
        client.settled()
        returned = any(event.name == "basic.return" for event in client.events)
    client.queue("used", passive=True)


def test_a_declaration_and_a_get_keep_an_unused_queue_alive(client) -> None:
    longest, attempt, alive = 1.0, 1, False
    while not alive and longest > 0.35 and attempt < 50:  # a busy machine may not have let us be in time
        attempt += 1
        longest, alive = used_often(client, client.open(attempt))
    assert alive


def used_often(client, channel: int) -> tuple[float, bool]:
    """Use two queues for longer than they live unused: the longest time between, and whether both are still there."""
    declared, asked = f"declared {channel}", f"asked {channel}"
    last = time.monotonic()
    for name in (declared, asked):
        client.queue(name, channel=channel, expires=400)
    client.publish("", declared, channel=channel)
    longest = 0.0
    try:
        for _ in range(5):
            time.sleep(0.15)  # what is waited for is that nothing happens
            messages = client.queue(declared, channel=channel, expires=400)[1]
            client.get(asked, channel=channel)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            if messages != 1:  # it is another one
                return longest, False
    except Closed:
        return max(longest, time.monotonic() - last), False
    return longest, True


def test_a_full_queue_drops_its_oldest(client) -> None:
    client.queue("count", exclusive=True, max_length=2)
    client.queue("bytes", exclusive=True, max_length_bytes=5)
    for body in (b"11", b"22", b"33"):
        client.publish("", "count", body)
        client.publish("", "bytes", body)
    client.settled()
    assert (client.bodies("count"), client.bodies("bytes")) == ([b"22", b"33"], [b"22", b"33"])


def test_a_full_queue_refuses_when_told_to(client) -> None:
    client.queue("q", exclusive=True, max_length=1, overflow="reject-publish")
    client.call(1, m.CONFIRM_SELECT, False)
    client.publish("", "q", b"1")
    assert client.expect("basic.ack").values[0] == 1
    client.publish("", "q", b"2")
    assert client.expect("basic.nack").values[0] == 2
    assert client.bodies("q") == [b"1"]


def test_a_full_queue_drops_the_oldest_of_the_highest_priority(client) -> None:
    client.queue("q", exclusive=True, max_length=3, max_priority=5)
    for body, priority in ((b"low", 0), (b"high", 5), (b"high too", 5), (b"middle", 3), (b"last", 0)):
        client.publish("", "q", body, priority=priority)
    client.settled()
    assert client.bodies("q") == [b"middle", b"low", b"last"]


def test_what_comes_back_to_a_full_queue_is_the_oldest(client) -> None:
    client.queue("q", exclusive=True, max_length=2)
    for body in (b"1", b"2"):
        client.publish("", "q", body)
    client.settled()
    held = client.get("q", no_ack=False)
    client.publish("", "q", b"3")
    client.send(1, m.BASIC_REJECT, held.values[0], True)
    client.settled()
    assert client.bodies("q") == [b"2", b"3"]


def test_a_full_queue_without_room_keeps_nothing(client) -> None:
    client.queue("q", exclusive=True, max_length=0)
    client.publish("", "q", b"nobody")
    client.settled()
    assert client.bodies("q") == []
    client.consume("q", no_ack=True)
    client.publish("", "q", b"somebody")
    assert [event.body for event in client.deliveries(1)] == [b"somebody"]


@pytest.mark.parametrize("overflow", ["drop-head", "reject-publish"])
def test_a_full_quorum_queue(client, overflow: str) -> None:
    client.queue("q", durable=True, queue_type="quorum", max_length=1, overflow=overflow)
    client.call(1, m.CONFIRM_SELECT, False)
    answers = []
    for number in range(4):
        client.publish("", "q", b"%d" % number)
        answers.append(client.expect(("basic.ack", "basic.nack")).name)
    kept = client.bodies("q")
    if overflow == "drop-head":
        assert (set(answers), kept) == ({"basic.ack"}, [b"3"])
    else:
        # How many a quorum queue takes beyond its limit is its own affair.
        accepted = answers.count("basic.ack")
        assert 1 <= accepted < 4
        assert kept == [b"%d" % number for number in range(accepted)]


def test_255_priorities(client) -> None:
    client.queue("q", exclusive=True, max_priority=255)
    for priority in (0, 254, 255, 100):
        client.publish("", "q", b"%d" % priority, priority=priority)
    client.settled()
    assert client.bodies("q") == [b"255", b"254", b"100", b"0"]


def test_the_highest_priority_goes_first(client) -> None:
    client.queue("q", exclusive=True, max_priority=3)
    for body, priority in ((b"none", None), (b"1", 1), (b"9", 9), (b"3", 3), (b"0", 0)):
        client.publish("", "q", body, priority=priority)
    client.settled()
    assert client.bodies("q") == [b"9", b"3", b"1", b"none", b"0"]


def test_whether_a_queue_is_empty_is_asked_before_whether_it_is_used(client) -> None:
    client.queue("q")
    client.call(1, m.BASIC_QOS, 0, 1, False)
    client.consume("q")
    for _ in range(2):
        client.publish("", "q")
    client.settled()
    with pytest.raises(Exception, match=r"406 PRECONDITION_FAILED - queue 'q' in vhost '.*' not empty"):
        client.call(1, m.QUEUE_DELETE, "q", True, True, False)
