"""The connection of mp's own commands: handshake, refusals, fail-over, and peers that are no brokers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from mpcli.errors import BrokerRefused, BrokerUnreachable
from mpcli.wire.frames import PROTOCOL_HEADER
from mpcli.wire.handshake import connect
from mpcli.wire.methods import (
    CONNECTION_START,
    EXCHANGE_DECLARE,
    QUEUE_DECLARE,
    QUEUE_DELETE,
)

PASSIVE = (True, False, False, False, False, {})
PRIVATE = (False, False, True, True, False, {})


@contextmanager
def listener(serve):
    """A server that hands each connection to `serve` in a thread; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection):
            with connection, suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def pump(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def relay(broker, first=None):
    """Passes everything on, both ways; `first` may look at the client's first bytes and veto by returning False."""

    def serve(client):
        data = client.recv(65536)
        if first is not None and not first(data):
            return
        with socket.create_connection((broker.host, broker.port)) as upstream:
            upstream.sendall(data)
            back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
            back.start()
            pump(client, upstream)
            back.join(5)

    return serve


def at(broker, port, scheme="amqp", query=""):
    return f"{scheme}://{broker.user}:{broker.password}@127.0.0.1:{port}/{broker.vhost}{query}"


def test_a_channel_survives_nothing_but_the_connection_does(broker):
    with connect(broker.url) as connection:
        assert connection.server_properties["product"] == "RabbitMQ"
        with pytest.raises(BrokerRefused) as refused:
            connection.request(QUEUE_DECLARE, "nothing.here", *PASSIVE)
        assert refused.value.code == 404
        connection.open_channel(1)
        connection.request(EXCHANGE_DECLARE, "mpx", "topic", False, True, False, False, False, {})
        with pytest.raises(BrokerRefused) as refused:
            connection.request(EXCHANGE_DECLARE, "mpx", "fanout", False, True, False, False, False, {})
        assert refused.value.code == 406


def test_what_was_sent_along_with_the_handshake_is_answered_in_order(broker):
    def first(frame_max):
        assert frame_max >= 4096
        return QUEUE_DECLARE.frame(1, "mpx.own", *PRIVATE) + QUEUE_DELETE.frame(1, "mpx.own", False, False, False)

    deadline = time.monotonic() + 60
    with connect(broker.url, first=first) as connection:
        assert connection.answer(QUEUE_DECLARE, deadline=deadline).values == ["mpx.own", 0, 0]
        assert connection.answer(QUEUE_DELETE, deadline=deadline).values == [0]


def test_a_broker_that_dislikes_one_write_is_taken_step_by_step(broker):
    seen = []

    def first(data):
        seen.append(data)
        return data == PROTOCOL_HEADER

    with listener(relay(broker, first)) as port, connect(at(broker, port)) as connection:
        assert connection.request(QUEUE_DECLARE, "mpx.step", *PRIVATE)[0] == "mpx.step"
    assert len(seen) == 2
    assert seen[1] == PROTOCOL_HEADER


def test_one_round_trip_is_enough(broker):
    chunks = []

    def first(data):
        chunks.append(data)
        return True

    with listener(relay(broker, first)) as port:
        connect(at(broker, port), first=lambda _: QUEUE_DECLARE.frame(1, "mpx.one", *PRIVATE)).close()
    assert chunks[0].startswith(PROTOCOL_HEADER)
    assert b"mpx.one" in chunks[0]


def test_the_next_host_is_tried(broker):
    with connect(f"amqp://{broker.user}:{broker.password}@127.0.0.1:1/{broker.vhost};127.0.0.1:{broker.port}") as c:
        assert c.url.port == broker.port
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1.*127\.0\.0\.1:2"):
        connect("amqp://127.0.0.1:1;127.0.0.1:2")


def test_the_end_of_a_connection_is_told(broker):
    with connect(broker.url) as connection:
        connection.request(QUEUE_DECLARE, "mpx.mine", *PRIVATE)
        broker.close_connections()
        with pytest.raises(BrokerUnreachable):
            connection.receive(time.monotonic() + 60)
    deadline = time.monotonic() + 60
    while broker.queues():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_wait_ends_at_its_deadline(broker):
    with connect(broker.url) as connection:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.receive(began + 0.2)
        assert time.monotonic() - began >= 0.2


def test_heartbeats_keep_a_quiet_connection(broker):
    with connect(broker.url, heartbeat=1) as connection:
        with pytest.raises(TimeoutError):
            connection.receive(time.monotonic() + 3.5)
        assert connection.request(QUEUE_DECLARE, "mpx.alive", *PRIVATE)[0] == "mpx.alive"


@pytest.mark.parametrize(
    ("says", "match"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks something else"),
        (b"AMQP\x00\x01\x00\x00", "another version of AMQP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "wants TLS"),
        (b"", "was lost"),
        (b"\x01\x00\x00\x00\x00\x00\x02\xff\xff\xce", "unknown method"),
    ],
)
def test_what_is_no_broker_is_told(says, match):
    from mpcli.errors import BrokerError

    def serve(connection):
        connection.recv(65536)
        connection.sendall(says)

    with listener(serve) as port, pytest.raises(BrokerError, match=match):
        connect(f"amqp://127.0.0.1:{port}", timeout=60)


def test_one_that_accepts_and_says_nothing_is_given_up():
    hang = threading.Event()
    with listener(lambda connection: hang.wait(60)) as port:
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable, match="does not answer in time"):
            connect(f"amqp://127.0.0.1:{port}", timeout=0.3)
        assert time.monotonic() - began < 30
        hang.set()


def test_one_without_a_known_login_is_refused():
    def serve(connection):
        connection.recv(65536)
        connection.sendall(CONNECTION_START.frame(0, 0, 9, {}, "GSSAPI", "en_US"))
        connection.recv(65536)

    with listener(serve) as port, pytest.raises(BrokerRefused, match="GSSAPI"):
        connect(f"amqp://127.0.0.1:{port}", timeout=60)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    import shutil

    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker.test"]
    argv += ["-addext", "subjectAltName=DNS:broker.test", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


def test_tls_knows_the_broker_by_authority_and_name_and_shows_a_certificate(broker, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate / "cert.pem"))
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    shown = []

    def serve(client):
        with context.wrap_socket(client, server_side=True) as secure:
            shown.append(secure.getpeercert())
            relay(broker)(secure)

    query = f"?cacertfile={certificate}/cert.pem&server_name_indication=broker.test"
    own = f"&certfile={certificate}/cert.pem&keyfile={certificate}/key.pem"
    with listener(serve) as port:
        connect(at(broker, port, "amqps", query + own)).close()
        assert shown[-1]
        connect(at(broker, port, "amqps", query)).close()
        assert not shown[-1]
        connect(at(broker, port, "amqps", "?verify=verify_none")).close()
        with pytest.raises(BrokerUnreachable, match="certificate"):
            connect(at(broker, port, "amqps", query.partition("&")[0]))
        with pytest.raises(BrokerUnreachable, match="certificate"):
            connect(at(broker, port, "amqps"))
        with pytest.raises(BrokerUnreachable, match=r"lost|TLS|something else"):
            connect(at(broker, port))


def test_a_tls_url_on_a_plain_port_says_so(broker):
    with pytest.raises(BrokerUnreachable, match="no TLS"):
        connect(broker.url.replace("amqp://", "amqps://"))
