"""Connections: the handshake, heartbeats, and how they are closed."""

from __future__ import annotations

import time

import pytest
from amqp_client import PATIENCE

from mpcli.wire import methods as m
from mpcli.wire.codec import encode_table
from mpcli.wire.frames import CONTENT_START, PROTOCOL_HEADER, encode_frame

CAPABILITIES = {"capabilities": {"authentication_failure_close": True}}


def test_the_broker_says_what_it_is_and_what_it_can(connect) -> None:
    client = connect(handshake=False)
    client.send_bytes(PROTOCOL_HEADER)
    major, minor, properties, mechanisms, locales = client.expect("connection.start").values
    assert (major, minor, locales) == (0, 9, b"en_US")
    assert {"PLAIN", "AMQPLAIN"} <= set(mechanisms.decode().split())
    assert properties["product"] == "RabbitMQ"
    assert properties["version"].startswith("3.")
    assert properties["capabilities"]["publisher_confirms"] is True
    assert properties["capabilities"]["direct_reply_to"] is True


def test_amqplain_is_a_login_too(broker, connect) -> None:
    client = connect(handshake=False)
    response = encode_table({"LOGIN": broker.user, "PASSWORD": broker.password})[4:]
    client.send_bytes(PROTOCOL_HEADER + m.CONNECTION_START_OK.frame(0, CAPABILITIES, "AMQPLAIN", response, "en_US"))
    assert client.expect("connection.tune").values == [2047, 131072, 60]


def test_a_wrong_password_is_403(broker, connect) -> None:
    client = connect(handshake=False)
    response = f"\0{broker.user}\0wrong".encode()
    client.send_bytes(PROTOCOL_HEADER + m.CONNECTION_START_OK.frame(0, CAPABILITIES, "PLAIN", response, "en_US"))
    refusal = client.refused()
    assert (refusal.scope, refusal.code) == ("connection", 403)
    assert refusal.text.startswith("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.")


def test_who_cannot_be_told_is_cut_off(broker, connect) -> None:
    right, wrong = f"\0{broker.user}\0{broker.password}".encode(), f"\0{broker.user}\0wrong".encode()
    logins = [({}, "PLAIN", wrong), (CAPABILITIES, "NONESUCH", right), (CAPABILITIES, "PLAIN", b"as" + right)]
    clients = [connect(handshake=False) for _ in logins]
    for client, login in zip(clients, logins, strict=True):
        client.send_bytes(PROTOCOL_HEADER + m.CONNECTION_START_OK.frame(0, *login, "en_US"))
    for client in clients:
        client.expect("connection.start")
        client.end()
        assert not client.events


def test_an_unknown_vhost_is_530(broker, connect) -> None:
    client = connect(handshake=False)
    with pytest.raises(Exception, match="530 NOT_ALLOWED - vhost nowhere not found"):
        client.handshake(broker.user, broker.password, "nowhere")


def test_another_protocol_is_answered_with_the_right_header(connect) -> None:
    client = connect(handshake=False)
    client.send_bytes(b"AMQP\x00\x00\x08\x00")
    assert client.socket.recv(8) == PROTOCOL_HEADER


def test_a_close_is_answered(client) -> None:
    client.call(0, m.CONNECTION_CLOSE, 200, "bye", 0, 0)


def test_the_socket_is_closed_when_the_client_has_agreed(client) -> None:
    client.send(1, m.CHANNEL_OPEN)
    client.refused()
    client.send(0, m.CONNECTION_CLOSE_OK)
    client.end()


def test_access_is_granted_to_whoever_still_asks(client) -> None:
    assert client.call(1, m.ACCESS_REQUEST, "/data", True, True, True, True, True) == [1]


@pytest.fixture
def silent(broker, connect):
    """A client that agreed on heartbeats and sends none. It opens no channel: it might be cut off before it does."""
    return connect(handshake=False).handshake(broker.user, broker.password, broker.vhost, heartbeat=1)


def test_heartbeats_are_sent(silent) -> None:
    deadline = time.monotonic() + PATIENCE
    while not silent.heartbeats:
        assert time.monotonic() < deadline
        silent.receive(0.5)


def test_a_silent_client_is_cut_off_so_that_its_next_write_fails(silent) -> None:
    silent.end()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        silent.send(0, m.CONNECTION_CLOSE_OK)


def test_more_channels_than_agreed_are_refused(connect) -> None:
    client = connect(1, 2, channel_max=2)
    client.send(9, m.CHANNEL_OPEN)
    refusal = client.refused()
    assert (refusal.scope, refusal.code) == ("connection", 530)
    assert refusal.text == "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)"


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (
            b"\x01\x00\x01\x00\x00\x00\x04abcdX",
            501,
            'FRAME_ERROR - type 1, all octets = <<"abcd">>: {invalid_frame_end_marker,88}',
        ),
        (
            b"\x01\x00\x01\x00\xff\xff\xff",
            501,
            "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,16777215,131064}",
        ),
        (encode_frame(4, 1, b"abc"), 501, 'FRAME_ERROR - type 4, all octets = <<"abc">>: unknown_frame'),
        (encode_frame(8, 0, b"x"), 501, 'FRAME_ERROR - type 8, all octets = <<"x">>: unknown_frame'),
        (encode_frame(8, 1, b""), 505, "UNEXPECTED_FRAME - type 8, all octets = <<>>"),
        (
            encode_frame(2, 1, b"x" * 20),
            505,
            "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
        ),
        (
            m.BASIC_PUBLISH.frame(1, "", "q", False, False) + m.CHANNEL_FLOW.frame(1, True),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
        ),
        (
            m.BASIC_PUBLISH.frame(1, "", "q", False, False)
            + encode_frame(2, 1, CONTENT_START.pack(50, 0, 1) + b"\0\0"),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
        ),
        (
            m.BASIC_PUBLISH.frame(1, "", "q", False, False)
            + encode_frame(2, 1, CONTENT_START.pack(60, 7, 1) + b"\0\0"),
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
        ),
        (encode_frame(1, 1, m.QUEUE_PURGE.prefix + b"\0\0\5q"), 501, "FRAME_ERROR - cannot decode <<0,0,5,113>>"),
        (encode_frame(1, 1, m.BASIC_PUBLISH.prefix + b"\0\0\5q"), 501, "FRAME_ERROR - cannot decode <<0,0,5,113>>"),
        (
            encode_frame(1, 1, m.BASIC_QOS.encode(0, 1, False) + b"z"),
            501,
            "FRAME_ERROR - cannot decode <<0,0,0,0,0,1,0,122>>",
        ),
        (m.QUEUE_DECLARE_OK.frame(1, "q", 0, 0), 503, "COMMAND_INVALID - unimplemented method"),
        (m.QUEUE_PURGE.frame(0, "q", False), 504, "CHANNEL_ERROR - unexpected method in connection state running"),
        (m.CHANNEL_OPEN.frame(1), 504, "CHANNEL_ERROR - second 'channel.open' seen"),
        (m.BASIC_QOS.frame(7, 0, 1, False), 504, "CHANNEL_ERROR - expected 'channel.open'"),
        (m.CHANNEL_FLOW.frame(1, False), 540, "NOT_IMPLEMENTED - active=false"),
        (m.BASIC_QOS.frame(1, 5, 1, False), 540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)"),
        (m.BASIC_RECOVER.frame(1, False), 540, "NOT_IMPLEMENTED - requeue=false"),
    ],
)
def test_what_breaks_the_protocol_closes_the_connection(connect, data: bytes, code: int, text: str) -> None:
    bystander, client = connect(), connect()
    client.send_bytes(data)
    refusal = client.refused()
    assert (refusal.scope, refusal.code, refusal.text) == ("connection", code, text)
    bystander.settled()


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(300), b"AMQ", PROTOCOL_HEADER + b"\xff" * 100],
    ids=["http", "tls", "half a header", "after the header"],
)
def test_garbage_disturbs_nobody_else(connect, garbage: bytes) -> None:
    bystander, client = connect(), connect(handshake=False)
    client.send_bytes(garbage)
    bystander.queue("q", exclusive=True)
    bystander.publish("", "q")
    assert bystander.bodies("q") == [b"body"]


def test_half_a_frame_disturbs_nobody_else(connect) -> None:
    bystander, client = connect(), connect()
    client.send_bytes(m.BASIC_PUBLISH.frame(1, "", "q", False, False) + b"\x02\x00\x01\x00\x00\x00\x40half")
    bystander.queue("q", exclusive=True)
    bystander.publish("", "q")
    assert bystander.bodies("q") == [b"body"]


def test_the_administrator_closes_connections_with_320(broker, client) -> None:
    broker.close_connections()
    refusal = client.refused()
    assert (refusal.scope, refusal.code) == ("connection", 320)
    assert refusal.text.startswith("CONNECTION_FORCED - ")


def test_a_message_is_cut_to_the_frames_of_each_client(connect) -> None:
    small, large = connect(frame_max=4096), connect()
    large.queue("q", exclusive=False, auto_delete=True)
    body = bytes(range(256)) * 40
    large.publish("", "q", body)
    large.settled()
    assert small.get("q").body == body
    small.publish("", "q", body, frame_max=4096)
    small.settled()
    assert large.get("q").body == body
