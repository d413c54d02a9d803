"""Publishing: returns, confirms, transactions, and the properties that the broker acts on."""

from __future__ import annotations

import pytest

from mpcli.wire import methods as m


def test_what_reaches_no_queue_is_returned(client) -> None:
    client.publish("", "nowhere", mandatory=True, headers={"a": 1}, message_id="5")
    event = client.expect("basic.return")
    assert event.values == [312, "NO_ROUTE", "", "nowhere"]
    assert (event.body, event.properties) == (b"body", {"headers": {"a": 1}, "message_id": "5"})


def test_the_return_comes_before_the_confirm(client) -> None:
    client.call(1, m.CONFIRM_SELECT, False)
    client.publish("", "nowhere", mandatory=True)
    client.expect("basic.ack")
    assert [event.name for event in client.events] == ["basic.return"]


def test_a_missing_exchange_is_404(broker, client) -> None:
    client.publish("nowhere", "k")
    refusal = client.refused()
    assert (refusal.scope, refusal.code, refusal.method) == ("channel", 404, (60, 40))
    assert refusal.text == f"NOT_FOUND - no exchange 'nowhere' in vhost '{broker.vhost}'"
    client.send(1, m.CHANNEL_CLOSE_OK)
    client.open(1)
    client.settled()


def test_every_publish_is_confirmed(client) -> None:
    client.queue("q", durable=True)
    client.queue("quorum", durable=True, queue_type="quorum")
    client.call(1, m.CONFIRM_SELECT, False)
    for number in range(300):
        target = ("q", "quorum", "nowhere")[number % 3]
        client.publish("", target, delivery_mode=1 + number % 2)
    confirmed: set[int] = set()
    while len(confirmed) < 300:
        tag, multiple = client.expect("basic.ack").values
        confirmed |= set(range(1, tag + 1)) if multiple else {tag}
    assert confirmed == set(range(1, 301))


def test_immediate_is_540(client) -> None:
    client.publish("", "q", immediate=True)
    refusal = client.refused()
    assert (refusal.scope, refusal.code, refusal.text) == ("connection", 540, "NOT_IMPLEMENTED - immediate=true")


@pytest.mark.parametrize(
    ("properties", "wrong"),
    [
        ({"expiration": "abc"}, "invalid expiration 'abc': no_integer"),
        ({"expiration": "5a"}, "invalid expiration '5a': {leftover_string,\"a\"}"),
        ({"expiration": "-1"}, "invalid expiration '-1': {value_negative,-1}"),
        ({"expiration": "99999999999999"}, "invalid expiration '99999999999999': {value_too_large,99999999999999}"),
        ({"delivery_mode": 5}, "invalid message: {delivery_mode_unknown,5}"),
        ({"headers": {"CC": "x"}}, 'invalid message: {unacceptable_type_in_header,"CC",longstr}'),
        ({"reply_to": "amq.rabbitmq.reply-to"}, "fast reply consumer does not exist"),
        ({"reply_to": "amq.rabbitmq.reply-to", "delivery_mode": 5}, "fast reply consumer does not exist"),
        (
            {"headers": {"BCC": None}, "delivery_mode": 5},
            'invalid message: {unacceptable_type_in_header,"BCC",void}',
        ),
    ],
)
def test_properties_that_are_refused(client, properties: dict, wrong: str) -> None:
    client.publish("", "q", **properties)
    refusal = client.refused()
    assert (refusal.scope, refusal.code, refusal.text) == ("channel", 406, f"PRECONDITION_FAILED - {wrong}")


def test_a_false_user_id_is_refused(broker, client) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q", user_id=broker.user)
    client.settled()
    assert client.get("q").properties["user_id"] == broker.user
    client.publish("", "q", user_id="somebody")
    assert client.refused().text == (
        f"PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was '{broker.user}'"
    )


def test_cc_and_bcc_route_too_and_bcc_is_not_seen(client) -> None:
    for queue in ("to", "cc", "bcc"):
        client.queue(queue, exclusive=True)
    client.publish("", "to", headers={"CC": ["cc", "to"], "BCC": ["bcc"], "z": 1})
    client.settled()
    for queue in ("to", "cc", "bcc"):
        event = client.get(queue)
        assert (event.values[3], event.headers) == ("to", {"CC": ["cc", "to"], "z": 1})
        assert client.get(queue) is None


def test_cc_is_a_key_for_every_exchange_on_the_way(client) -> None:
    client.exchange("x")
    client.exchange("next", "topic")
    client.queue("q", exclusive=True)
    client.call(1, m.EXCHANGE_BIND, "next", "x", "first", False, {})
    client.bind("q", "next", "second")
    client.publish("x", "", headers={"CC": ["first"], "BCC": ["second"]})
    client.settled()
    assert client.bodies("q") == [b"body"]


def test_the_name_for_direct_replies_can_be_declared(client) -> None:
    assert client.queue("amq.rabbitmq.reply-to", passive=True) == ["amq.rabbitmq.reply-to", 0, 1]


def test_direct_replies(connect) -> None:
    caller, server = connect(1, 2), connect()
    server.queue("rpc", exclusive=True)
    caller.consume("amq.rabbitmq.reply-to", "replies", no_ack=True)
    caller.publish("", "rpc", b"question", reply_to="amq.rabbitmq.reply-to", correlation_id="1")
    caller.settled()
    question = server.get("rpc")
    key = question.properties["reply_to"]
    assert key.startswith("amq.rabbitmq.reply-to.")
    assert server.queue(key, passive=True) == [key, 0, 1], "a server can ask whether somebody still waits"
    server.publish("", key, b"answer", correlation_id="1")
    answer = caller.expect("basic.deliver")
    assert (answer.body, answer.properties, answer.values[0]) == (b"answer", {"correlation_id": "1"}, "replies")
    caller.call(1, m.BASIC_CANCEL, "replies", False)
    server.publish("", key, b"too late")
    server.settled()
    assert caller.deliveries(0) == []


def test_direct_replies_are_not_acknowledged(client) -> None:
    with pytest.raises(Exception, match="406 PRECONDITION_FAILED - reply consumer cannot acknowledge"):
        client.consume("amq.rabbitmq.reply-to")


def test_one_reply_consumer_for_each_channel(client) -> None:
    client.consume("amq.rabbitmq.reply-to", no_ack=True)
    with pytest.raises(Exception, match="406 PRECONDITION_FAILED - reply consumer already set"):
        client.consume("amq.rabbitmq.reply-to", no_ack=True)


def test_a_transaction_is_seen_when_it_is_committed(connect) -> None:
    client = connect(1, 2)
    client.queue("q", exclusive=True)
    client.call(1, m.TX_SELECT)
    client.publish("", "q", b"1")
    client.publish("", "nowhere", b"lost", mandatory=True)
    client.settled()
    assert client.get("q", channel=2) is None
    assert not client.events
    client.call(1, m.TX_COMMIT)
    assert client.expect("basic.return").body == b"lost"
    assert client.get("q", channel=2).body == b"1"


def test_a_rollback_forgets_publishes_and_acknowledgements(client) -> None:
    client.queue("q", exclusive=True)
    client.publish("", "q", b"1")
    client.settled()
    client.call(1, m.TX_SELECT)
    tag = client.get("q", no_ack=False).values[0]
    client.publish("", "q", b"2")
    client.send(1, m.BASIC_ACK, tag, False)
    client.call(1, m.TX_ROLLBACK)
    client.send(1, m.BASIC_REJECT, tag, True)
    client.call(1, m.TX_COMMIT)
    assert client.bodies("q") == [b"1"]


def test_a_transaction_holds_back_acknowledgements_and_rejections(connect) -> None:
    client = connect(1, 2)
    client.queue("dead", exclusive=True)
    client.queue("q", exclusive=True, dead_letter_exchange="", dead_letter_routing_key="dead")
    for number in range(3):
        client.publish("", "q", b"%d" % number)
    client.settled()
    client.call(1, m.TX_SELECT)
    acknowledged, rejected, returned = (client.get("q", no_ack=False).values[0] for _ in range(3))
    client.send(1, m.BASIC_ACK, acknowledged, False)
    client.send(1, m.BASIC_REJECT, rejected, False)
    client.send(1, m.BASIC_NACK, returned, False, True)
    client.settled()
    assert (client.get("q", channel=2), client.get("dead", channel=2)) == (None, None)
    client.call(1, m.TX_COMMIT)
    assert client.get("q", channel=2).body == b"2"
    assert client.get("dead", channel=2).body == b"1"
    assert client.bodies("q", channel=2) == []


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (m.CONFIRM_SELECT, m.TX_SELECT, "cannot switch from confirm to tx mode"),
        (m.TX_SELECT, m.CONFIRM_SELECT, "cannot switch from tx to confirm mode"),
        (None, m.TX_COMMIT, "channel is not transactional"),
        (None, m.TX_ROLLBACK, "channel is not transactional"),
    ],
)
def test_modes_that_do_not_fit(client, first, second, text: str) -> None:
    for method in filter(None, (first, second)):
        client.send(1, method, *([False] if method is m.CONFIRM_SELECT else []))
    client.expect(f"{first.name}-ok") if first else None
    refusal = client.refused()
    assert (refusal.code, refusal.text) == (406, f"PRECONDITION_FAILED - {text}")


def test_the_way_of_a_message_in_a_transaction_is_found_when_it_is_published(client) -> None:
    client.exchange("x", "fanout")
    for queue in ("before", "after", "anew"):
        client.queue(queue)
    client.bind("before", "x")
    client.bind("anew", "x")
    client.call(1, m.TX_SELECT)
    client.publish("x", "", b"1")
    client.call(1, m.QUEUE_UNBIND, "before", "x", "", {})
    client.bind("after", "x")
    client.call(1, m.QUEUE_DELETE, "anew", False, False, False)
    client.queue("anew", max_length=5)
    client.call(1, m.TX_COMMIT)
    assert [client.bodies(queue) for queue in ("before", "after", "anew")] == [[b"1"], [], [b"1"]]
