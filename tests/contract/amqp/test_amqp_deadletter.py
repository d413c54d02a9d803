"""Time to live and dead letters."""

from __future__ import annotations

import time

import pytest
from amqp_client import PATIENCE

from mpcli.wire import methods as m
from mpcli.wire.codec import Typed


@pytest.fixture
def dead(client):
    """A client with a queue `dead` behind the exchange `dlx`, consumed."""
    client.exchange("dlx", "fanout")
    client.queue("dead", exclusive=True)
    client.bind("dead", "dlx")
    return client


def letter(client):
    """The next dead letter."""
    deadline = time.monotonic() + PATIENCE
    while (event := client.get("dead")) is None:
        assert time.monotonic() < deadline
    return event


def test_a_rejected_message_says_where_it_died(dead) -> None:
    before = int(time.time())
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    dead.publish("", "q", content_type="t", headers={"z": 1, "a": 2})
    dead.settled()
    dead.send(1, m.BASIC_REJECT, dead.get("q", no_ack=False).values[0], False)
    event = letter(dead)
    assert event.values[2:4] == ["dlx", "q"]
    death = event.headers["x-death"][0]
    assert before <= death.pop("time").value <= time.time()
    firsts = ["x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"]
    assert list(event.headers) == ["a", "x-death", *firsts, "z"]
    assert list(death.items()) == [
        ("count", Typed("l", 1)),
        ("reason", "rejected"),
        ("queue", "q"),
        ("exchange", ""),
        ("routing-keys", ["q"]),
    ]


def test_a_message_that_died_before_is_counted(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    deaths = [
        {"count": Typed("l", 2), "reason": "rejected", "queue": "q"},
        {"count": 3, "reason": "expired", "queue": "other"},
    ]
    dead.publish("", "q", headers={"x-death": deaths})
    dead.settled()
    dead.send(1, m.BASIC_REJECT, dead.get("q", no_ack=False).values[0], False)
    event = letter(dead)
    assert [death["count"] for death in event.headers["x-death"]] == [Typed("l", 3), 3]
    assert "x-first-death-queue" not in event.headers


def test_deaths_of_one_queue_and_reason_become_one(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    deaths = [{"reason": "expired", "queue": queue} for queue in ("one", "two", "one", "three")]
    dead.publish("", "q", headers={"x-death": deaths})
    dead.settled()
    dead.send(1, m.BASIC_REJECT, dead.get("q", no_ack=False).values[0], False)
    found = [(death["queue"], death["count"].value) for death in letter(dead).headers["x-death"]]
    assert found == [("q", 1), ("three", 1), ("two", 1), ("one", 2)]


def test_a_message_expires_by_its_own_time(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    dead.publish("", "q", expiration="1", headers={"CC": ["k1"], "BCC": ["k2"]})
    event = letter(dead)
    death = event.headers["x-death"][0]
    assert "expiration" not in event.properties
    assert (death["reason"], death["original-expiration"]) == ("expired", "1")
    assert death["routing-keys"] == ["q", "k1"]


def test_a_message_expires_by_its_queues_time(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", message_ttl=30, dead_letter_routing_key="rk")
    started = time.monotonic()
    dead.publish("", "q", expiration="60000")
    event = letter(dead)
    assert event.values[3] == "rk"
    assert time.monotonic() - started >= 0.03


def test_the_shorter_time_counts(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", message_ttl=60_000)
    dead.publish("", "q", expiration="1")
    assert letter(dead).headers["x-death"][0]["original-expiration"] == "1"


def test_what_has_had_its_time_goes_when_it_is_in_front(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    dead.publish("", "q", b"long", expiration="60000")
    dead.publish("", "q", b"short", expiration="0")
    dead.settled()
    first = dead.get("q")
    assert (first.body, first.values[4]) == (b"long", 0)
    assert letter(dead).body == b"short"


def test_a_message_waits_behind_a_higher_priority(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", max_priority=2)
    dead.publish("", "q", b"high", priority=1)
    dead.publish("", "q", b"short", expiration="0")
    dead.settled()
    assert dead.queue("q", passive=True)[1] == 2
    assert dead.get("q").body == b"high"
    assert letter(dead).body == b"short"


def test_a_message_waits_behind_one_that_lives_longer(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx")
    dead.publish("", "q", b"long", expiration="60000")
    dead.publish("", "q", b"short", expiration="1")
    dead.settled()
    time.sleep(0.1)
    assert dead.get("dead") is None
    assert dead.bodies("q") == [b"long"], "the short one expires when it comes to the front"
    assert letter(dead).body == b"short"


def test_time_zero_reaches_only_who_is_ready(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", message_ttl=0)
    dead.publish("", "q", b"nobody")
    assert letter(dead).body == b"nobody"
    dead.consume("q", no_ack=True)
    dead.publish("", "q", b"somebody")
    assert dead.expect("basic.deliver").body == b"somebody"


def test_what_a_full_queue_drops_is_a_dead_letter(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", max_length=1, dead_letter_routing_key="rk")
    dead.publish("", "q", b"1", headers={"CC": ["elsewhere"]})
    dead.publish("", "q", b"2")
    event = letter(dead)
    assert (event.body, event.headers["x-death"][0]["reason"], event.values[3]) == (b"1", "maxlen", "rk")
    assert "CC" not in event.headers, "another routing key takes the place of all of them"


def test_what_a_full_queue_refuses_can_be_a_dead_letter(dead) -> None:
    dead.queue("q", exclusive=True, dead_letter_exchange="dlx", max_length=1, overflow="reject-publish-dlx")
    dead.publish("", "q", b"1")
    dead.publish("", "q", b"2")
    assert letter(dead).body == b"2"


def test_a_circle_without_a_rejection_ends(broker, client) -> None:
    client.queue("q", exclusive=True, dead_letter_exchange="", message_ttl=20)
    client.publish("", "q")
    deadline = time.monotonic() + PATIENCE
    while broker.queues()["q"]:
        assert time.monotonic() < deadline


def test_a_circle_of_full_queues_ends(client) -> None:
    client.queue("q", exclusive=True, max_length=1, dead_letter_exchange="", dead_letter_routing_key="q")
    for body in (b"1", b"2", b"3"):
        client.publish("", "q", body)
    client.settled()
    assert client.bodies("q") == [b"3"]


def test_without_its_exchange_a_dead_letter_is_gone(client) -> None:
    client.queue("q", exclusive=True, dead_letter_exchange="nowhere", message_ttl=0)
    client.publish("", "q")
    client.settled()
    assert client.bodies("q") == []


def test_a_message_may_die_in_one_queue_after_the_other(client) -> None:
    count = 250
    for number in range(count):
        arguments = {"x-max-length": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"q{number + 1}"}
        client.send(1, m.QUEUE_DECLARE, f"q{number}", False, False, True, False, True, arguments)
    client.queue(f"q{count}", exclusive=True)
    client.publish("", "q0")
    client.consume(f"q{count}")
    letter = client.expect("basic.deliver")
    # RabbitMQ turns the order of the earlier ones round each time.
    expected: list[str] = []
    for number in range(count):
        expected = [f"q{number}", *reversed(expected)]
    assert [death["queue"] for death in letter.headers["x-death"]] == expected
