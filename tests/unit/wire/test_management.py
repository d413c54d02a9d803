"""The management API: what RabbitMQ 3.10.8 answered, replayed by a small server; and what else may listen there."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mpcli.wire.management import Management, NoManagement
from mpcli.wire.queue_traits import Traits
from mpcli.wire.url import parse_urls

# As a node gave it, cut to two queues.
ANSWER = [
    {
        "arguments": {"x-dead-letter-exchange": "mplogin.dead", "x-delivery-limit": 3, "x-queue-type": "quorum"},
        "consumers": 0,
        "effective_policy_definition": {"delivery-limit": 2, "dead-letter-exchange": "ignored"},
        "messages_ready": 0,
        "messages_unacknowledged": 0,
        "name": "mplogin.async",
        "state": "running",
        "type": "quorum",
    },
    {
        "arguments": {},
        "consumers": 1,
        "effective_policy_definition": {},
        "head_message_timestamp": 1795641854,
        "message_stats": {"deliver_get_details": {"rate": 0.0}, "publish_details": {"rate": 0.8}},
        "messages_ready": 17,
        "messages_unacknowledged": 3,
        "name": "mplogin.sync",
        "state": "running",
        "type": "classic",
    },
]
LOGIN = "Basic " + base64.b64encode(b"me:p@ss").decode()


class Server(HTTPServer):
    """Answers as RabbitMQ does, or, with another `realm`, as something else that wants a password."""

    realm = "RabbitMQ Management"
    answer: object = ANSWER

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.server.seen.append((self.path.partition("?")[0], login))
        ok = login == LOGIN
        answer = (
            self.server.answer[0] if self.path.startswith("/api/queues/shop/mplogin.async?") else self.server.answer
        )
        body = json.dumps(answer).encode() if ok else b""
        self.send_response(200 if ok else 401)
        if not ok:
            self.send_header("WWW-Authenticate", f'Basic realm="{self.server.realm}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def at(server: Server, user: str = "me:p%40ss") -> Management:
    """As found beside a broker: at its port + 10000."""
    (url,) = parse_urls(f"amqp://{user}@127.0.0.1:{server.server_port - 10_000}/shop")
    return Management(url)


def test_what_it_says_of_each_queue(server) -> None:
    quorum, classic = at(server).queues()
    assert (quorum.name, quorum.type, quorum.ready, quorum.unacked, quorum.in_rate) == (
        "mplogin.async",
        "quorum",
        0,
        0,
        None,
    )
    assert (classic.unacked, classic.in_rate, classic.out_rate, classic.oldest) == (3, 0.8, 0.0, 1795641854.0)
    assert server.seen == [("/api/overview", None), ("/api/queues/shop", LOGIN)]


def test_a_policy_counts_where_it_is_known(server) -> None:
    facts = at(server).queue("mplogin.async")
    traits = Traits("quorum", {"x-dead-letter-exchange": "mplogin.dead"}, 3, limit_set=True)
    traits.add_policy(facts.policy)
    assert (traits.delivery_limit, traits.dead_letter_exchange) == (2, "mplogin.dead")
    bare = Traits("quorum", {}, 20)
    bare.add_policy(facts.policy)
    assert (bare.delivery_limit, bare.limit_set, bare.dead_letter_exchange) == (2, True, "ignored")
    classic = Traits("classic", {})
    classic.add_policy(facts.policy)
    assert (classic.delivery_limit, classic.limit_set) == (None, False)


def test_something_else_gets_no_password(server) -> None:
    server.realm = "Router"
    with pytest.raises(NoManagement, match="something else"):
        at(server).queues()
    assert server.seen == [("/api/overview", None)]


def test_why_it_cannot_be_used(server) -> None:
    with pytest.raises(NoManagement, match="refuses this user"):
        at(server, "me:wrong").queues()
    server.answer = "no list"
    assert at(server).queues() == []
    (url,) = parse_urls("amqp://127.0.0.1:60000/")
    with pytest.raises(NoManagement, match="no port 70000"):
        Management(url)
    named = Management(url, f"http://me:p%40ss@127.0.0.1:{server.server_port}/")
    assert named.queues() == []
    assert "p@ss" not in named.address
    server.shutdown()
    server.server_close()
    with pytest.raises(NoManagement, match="refused"):
        named.queues()
