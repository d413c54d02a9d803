"""Exchanges: declaring, deleting, and where each type sends a message."""

from __future__ import annotations

import pytest

from mpcli.wire import methods as m
from mpcli.wire.codec import Typed


def reached(client, queues: list[str]) -> set[str]:
    """The queues that got a message; it is taken out again."""
    client.settled()
    return {queue for queue in queues if client.bodies(queue)}


@pytest.mark.parametrize(
    ("changed", "name", "received", "current"),
    [
        ({"kind": "fanout"}, "type", "fanout", "direct"),
        ({"durable": True}, "durable", "true", "false"),
        ({"auto_delete": True}, "auto_delete", "true", "false"),
        ({"internal": True}, "internal", "true", "false"),
    ],
)
def test_another_declaration_is_406(broker, client, changed: dict, name: str, received: str, current: str) -> None:
    client.exchange("x")
    with pytest.raises(Exception, match="406") as caught:
        client.exchange("x", **changed)
    assert caught.value.text == (
        f"PRECONDITION_FAILED - inequivalent arg '{name}' for exchange 'x' in vhost '{broker.vhost}': "
        f"received '{received}' but current is '{current}'"
    )


def test_the_same_declaration_is_accepted(client) -> None:
    client.exchange("x", "topic", arguments={"unknown": 1})
    client.exchange("x", "topic")
    client.exchange("x", "anything", passive=True)


@pytest.mark.parametrize(
    ("name", "options", "code", "text"),
    [
        ("nowhere", {"passive": True}, 404, "NOT_FOUND - no exchange 'nowhere' in vhost '{}'"),
        ("", {}, 403, "ACCESS_REFUSED - operation not permitted on the default exchange"),
        ("", {"passive": True}, 403, "ACCESS_REFUSED - operation not permitted on the default exchange"),
        ("amq.mine", {}, 403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"),
    ],
)
def test_names_that_are_refused(broker, client, name: str, options: dict, code: int, text: str) -> None:
    with pytest.raises(Exception, match=str(code)) as caught:
        client.exchange(name, **options)
    assert (caught.value.scope, caught.value.code, caught.value.text) == ("channel", code, text.format(broker.vhost))


def test_an_unknown_type_closes_the_connection(client) -> None:
    with pytest.raises(Exception, match=r"503 COMMAND_INVALID - \w+ exchange type 'x-delayed-message'") as caught:
        client.exchange("x", "x-delayed-message")
    assert caught.value.scope == "connection"


def test_the_predeclared_exchanges_are_there_to_stay(broker, client) -> None:
    for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"):
        client.exchange(name, passive=True)
    with pytest.raises(Exception, match="403") as caught:
        client.call(1, m.EXCHANGE_DELETE, "amq.topic", False, False)
    assert caught.value.text == (
        f"ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '{broker.vhost}' not allowed"
    )


def test_deleting_what_is_not_there_succeeds(client) -> None:
    client.call(1, m.EXCHANGE_DELETE, "nowhere", False, False)


def test_an_exchange_in_use_is_not_deleted_if_unused(broker, client) -> None:
    client.exchange("x")
    client.queue("q", exclusive=True)
    client.bind("q", "x", "k")
    with pytest.raises(Exception, match="406") as caught:
        client.call(1, m.EXCHANGE_DELETE, "x", True, False)
    assert caught.value.text == f"PRECONDITION_FAILED - exchange 'x' in vhost '{broker.vhost}' in use"


def test_an_auto_delete_exchange_goes_with_its_last_binding(client) -> None:
    client.exchange("x", auto_delete=True)
    client.queue("q", exclusive=True)
    client.bind("q", "x", "a")
    client.bind("q", "x", "b")
    client.call(1, m.QUEUE_UNBIND, "q", "x", "a", {})
    client.exchange("x", passive=True)
    client.call(1, m.QUEUE_UNBIND, "q", "x", "b", {})
    with pytest.raises(Exception, match="404"):
        client.exchange("x", passive=True)


def test_an_auto_delete_exchange_goes_with_its_last_queue(client) -> None:
    client.exchange("x", auto_delete=True)
    client.exchange("y", auto_delete=True)
    client.queue("q", exclusive=True)
    client.call(1, m.EXCHANGE_BIND, "y", "x", "", False, {})
    client.bind("q", "y")
    client.call(1, m.QUEUE_DELETE, "q", False, False, False)
    client.settled()
    for name in ("y", "x"):
        with pytest.raises(Exception, match=f"404 NOT_FOUND - no exchange '{name}'"):
            client.exchange(name, passive=True)
        client.send(1, m.CHANNEL_CLOSE_OK)
        client.open(1)


def test_unbinding_what_is_not_bound_succeeds(client) -> None:
    client.queue("q", exclusive=True)
    client.call(1, m.QUEUE_UNBIND, "q", "amq.topic", "k", {})
    client.call(1, m.QUEUE_UNBIND, "nowhere", "nothing", "k", {})


@pytest.mark.parametrize(
    ("queue", "exchange", "text"),
    [("q", "nowhere", "no exchange 'nowhere'"), ("nowhere", "amq.topic", "no queue 'nowhere'")],
)
def test_binding_what_is_not_there_is_404(broker, client, queue: str, exchange: str, text: str) -> None:
    client.queue("q", exclusive=True)
    with pytest.raises(Exception, match="404") as caught:
        client.bind(queue, exchange, "k")
    assert caught.value.text == f"NOT_FOUND - {text} in vhost '{broker.vhost}'"


def test_direct_sends_to_each_binding_with_the_key_and_once_to_each_queue(client) -> None:
    for queue in ("a", "b"):
        client.queue(queue, exclusive=True)
        client.bind(queue, "amq.direct", "k")
    client.bind("a", "amq.direct", "k", other=1)
    client.publish("amq.direct", "k")
    client.settled()
    assert (client.bodies("a"), client.bodies("b")) == ([b"body"], [b"body"])
    client.publish("amq.direct", "other")
    assert reached(client, ["a", "b"]) == set()


def test_fanout_sends_to_all(client) -> None:
    for queue in ("a", "b"):
        client.queue(queue, exclusive=True)
        client.bind(queue, "amq.fanout", queue)
    client.publish("amq.fanout", "anything")
    assert reached(client, ["a", "b"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("key", "patterns"),
    [
        ("", {"#", "", "#.#"}),
        ("a", {"#", "*", "a", "a.#", "#.#", "*.#", "#.a.#"}),
        ("a.b", {"#", "a.*", "a.#", "*.b", "#.b", "*.*", "#.#", "*.#", "a.b.#.#", "#.a.#"}),
        ("a.b.c", {"#", "a.#", "a.*.c", "a.#.c", "#.#", "*.#", "a.b.#.#", "#.a.#"}),
        ("a.c", {"#", "a.*", "a.#", "a.#.c", "*.*", "#.#", "*.#", "#.a.#"}),
        ("a..b", {"#", "a.#", "#.b", "a..b", "#.#", "*.#", "#.a.#"}),
        ("x.b", {"#", "*.b", "#.b", "*.*", "#.#", "*.#"}),
    ],
)
def test_topic_patterns(client, key: str, patterns: set[str]) -> None:
    every = ["#", "*", "a.*", "a.#", "*.b", "#.b", "a.*.c", "a.#.c", "a", "", "a..b", "*.*", "#.#", "*.#"]
    every += ["a.b.#.#", "#.a.#"]
    for pattern in every:
        client.queue(f"q {pattern}", exclusive=True)
        client.bind(f"q {pattern}", "amq.topic", pattern)
    client.publish("amq.topic", key)
    assert reached(client, [f"q {pattern}" for pattern in every]) == {f"q {pattern}" for pattern in patterns}


BINDINGS = {
    "all": {"x-match": "all", "a": 1, "b": "x"},
    "any": {"x-match": "any", "a": 1, "b": "x"},
    "present": {"a": None},
    "nothing asked": {},
    "any of nothing": {"x-match": "any"},
    "with x": {"x-match": "all-with-x", "x-a": 1},
    "any with x": {"x-match": "any-with-x", "x-a": 1, "c": 2},
    "without x": {"x-match": "all", "x-a": 1, "c": 1},
    "another width": {"a": Typed("l", 1)},
}


@pytest.mark.parametrize(
    ("headers", "queues"),
    [
        ({"a": 1}, {"any", "present", "nothing asked", "another width"}),
        ({"a": 1, "b": "x"}, {"all", "any", "present", "nothing asked", "another width"}),
        ({"a": 2}, {"present", "nothing asked"}),
        ({"x-a": 1}, {"nothing asked", "with x", "any with x"}),
        ({"c": 1}, {"nothing asked", "without x"}),
        ({}, {"nothing asked"}),
    ],
)
def test_headers(client, headers: dict, queues: set[str]) -> None:
    for queue, arguments in BINDINGS.items():
        client.queue(queue, exclusive=True)
        client.bind(queue, "amq.headers", "", **arguments)
    client.publish("amq.headers", "ignored", headers=headers)
    assert reached(client, list(BINDINGS)) == queues


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("some", 'value <<"some">>; expected all, any, all-with-x, or any-with-x'),
        (5, "type signedint (value 5); expected longstr"),
        (["a", 1], 'type array (value [{longstr,<<"a">>},{signedint,1}]); expected longstr'),
        (Typed("D", (1, 5)), "type decimal (value {1,5}); expected longstr"),
        ({"a": True}, 'type table (value [{<<"a">>,bool,true}]); expected longstr'),
    ],
)
def test_an_unknown_x_match_is_406(client, value: object, wrong: str) -> None:
    client.queue("q", exclusive=True)
    with pytest.raises(Exception, match=r"406") as caught:
        client.bind("q", "amq.headers", "", **{"x-match": value})
    assert caught.value.text == f"PRECONDITION_FAILED - Invalid x-match field {wrong}"


def test_a_binding_is_checked_before_the_owner_of_its_queue(connect) -> None:
    connect().queue("q", exclusive=True)
    stranger = connect()
    with pytest.raises(Exception, match="406 PRECONDITION_FAILED - Invalid x-match field value"):
        stranger.bind("q", "amq.headers", "", **{"x-match": "some"})


def test_what_nothing_matches_goes_to_the_alternate_exchange(client) -> None:
    client.exchange("other", "fanout")
    client.exchange("main", arguments={"alternate-exchange": "other"})
    for queue, exchange, key in (("matched", "main", "k"), ("unmatched", "other", "")):
        client.queue(queue, exclusive=True)
        client.bind(queue, exchange, key)
    client.publish("main", "k", b"1")
    client.publish("main", "elsewhere", b"2", mandatory=True)
    client.settled()
    assert (client.bodies("matched"), client.bodies("unmatched")) == ([b"1"], [b"2"])
    assert not client.events, "it was routed, so nothing is returned"


def test_an_alternate_exchange_may_be_missing_or_have_one_itself(client) -> None:
    client.exchange("last", "fanout")
    client.exchange("middle", arguments={"alternate-exchange": "last"})
    client.exchange("first", arguments={"alternate-exchange": "middle"})
    client.exchange("lost", arguments={"alternate-exchange": "nowhere"})
    client.queue("q", exclusive=True)
    client.bind("q", "last")
    client.publish("first", "k", b"1", mandatory=True)
    client.publish("lost", "k", b"2", mandatory=True)
    assert client.expect("basic.return").body == b"2"
    assert client.bodies("q") == [b"1"]


def test_the_default_exchange_as_an_alternate_one_leads_nowhere(client) -> None:
    client.exchange("first", arguments={"alternate-exchange": ""})
    client.queue("q", exclusive=True)
    client.publish("first", "q", b"1", mandatory=True)
    assert client.expect("basic.return").body == b"1"
    assert client.bodies("q") == []


@pytest.mark.parametrize(
    ("destination", "source", "code", "text"),
    [
        ("nowhere", "amq.topic", 404, "NOT_FOUND - no exchange 'nowhere' in vhost '{}'"),
        ("amq.topic", "nowhere", 404, "NOT_FOUND - no exchange 'nowhere' in vhost '{}'"),
        ("", "amq.topic", 403, "ACCESS_REFUSED - operation not permitted on the default exchange"),
        ("amq.topic", "", 403, "ACCESS_REFUSED - operation not permitted on the default exchange"),
    ],
)
def test_exchanges_that_cannot_be_bound(broker, client, destination: str, source: str, code: int, text: str) -> None:
    with pytest.raises(Exception, match=str(code)) as caught:
        client.call(1, m.EXCHANGE_BIND, destination, source, "k", False, {})
    assert (caught.value.scope, caught.value.text) == ("channel", text.format(broker.vhost))


def test_exchanges_are_bound_to_exchanges_even_in_a_circle(client) -> None:
    client.exchange("one", "topic")
    client.exchange("two", "fanout")
    client.queue("q", exclusive=True)
    client.call(1, m.EXCHANGE_BIND, "two", "one", "a.#", False, {})
    client.call(1, m.EXCHANGE_BIND, "one", "two", "", False, {})
    client.bind("q", "two")
    client.bind("q", "one", "a.b")
    client.publish("one", "a.b")
    client.settled()
    assert client.bodies("q") == [b"body"]
    client.call(1, m.EXCHANGE_UNBIND, "two", "one", "a.#", False, {})
    client.publish("one", "a.c")
    assert reached(client, ["q"]) == set()


def test_nobody_publishes_to_an_internal_exchange(broker, client) -> None:
    client.exchange("x", internal=True)
    client.publish("x", "k")
    refusal = client.refused()
    assert (refusal.scope, refusal.code) == ("channel", 403)
    assert refusal.text == f"ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '{broker.vhost}'"
