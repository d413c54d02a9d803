"""RabbitMQ's management API, read only, for what AMQP does not tell: all queues of a vhost, unacked messages, rates.

It is looked for at the address that is given, else on the broker's host at its port + 10000, as RabbitMQ numbers them
(5672 and 15672, 5671 and 15671). Whatever listens there gets no password before it has said that it is RabbitMQ's.
Its figures are up to five seconds old (https://www.rabbitmq.com/docs/management#statistics-interval).
"""

from __future__ import annotations

import json
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, unquote, urlsplit

from mpcli.wire.transport import tls_context
from mpcli.wire.url import BrokerUrl, TlsSettings

OFF = "off"
_PORT_OFFSET = 10_000
_REALM = "RabbitMQ Management"
_MOST = 64 * 1024 * 1024
_COLUMNS = (
    "name,type,state,arguments,effective_policy_definition,messages_ready,messages_unacknowledged,consumers,"
    "head_message_timestamp,message_stats.publish_details.rate,message_stats.deliver_get_details.rate"
)


class NoManagement(Exception):
    """Why the API cannot be used, in a few words for people."""


class QueueFacts:
    """What the API says of a queue. Rates are per second; None is what it does not know.

    `oldest` is the timestamp of the first message, in seconds since 1970, where its sender set one.
    """

    __slots__ = ("consumers", "in_rate", "name", "oldest", "out_rate", "policy", "ready", "type", "unacked")

    def __init__(self, data: dict[str, object]) -> None:
        stats = data.get("message_stats")
        self.name = str(data.get("name", ""))
        policy = data.get("effective_policy_definition")
        # What policies set, by their keys without `x-`: https://www.rabbitmq.com/docs/parameters#policies
        self.policy: dict[str, object] = policy if isinstance(policy, dict) else {}
        self.type = str(data.get("type") or "")
        self.ready = _whole(data.get("messages_ready"))
        self.unacked = _whole(data.get("messages_unacknowledged"))
        self.consumers = _whole(data.get("consumers"))
        self.in_rate = _rate(stats, "publish_details")
        self.out_rate = _rate(stats, "deliver_get_details")
        self.oldest = _number(data.get("head_message_timestamp"))


class Management:
    """The API of one broker."""

    def __init__(self, url: BrokerUrl, address: str = "", timeout: float = 2.0) -> None:
        """`address` is an http or https URL, with or without user and password; `timeout` in seconds.

        Raises `NoManagement` where there is no address to look at.
        """
        self._url = url
        self._timeout = timeout
        # An address that somebody gave is meant; any other one first has to say what it is.
        self._known = bool(address)
        parts = urlsplit(address.rstrip("/") or _usual_address(url))
        user, password = unquote(parts.username or url.user), unquote(parts.password or url.password)
        self._login = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self._host, self._path, self._secure = parts.hostname or "", parts.path, parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.address = f"{parts.scheme}://{host}:{self._port}{self._path}"

    def queues(self) -> list[QueueFacts]:
        """Every queue of the vhost. Raises `NoManagement`."""
        found = self._ask("")
        return [QueueFacts(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def queue(self, name: str) -> QueueFacts | None:
        """One queue; None when there is none of that name. Raises `NoManagement`."""
        found = self._ask(f"/{quote(name, safe='')}")
        return QueueFacts(found) if isinstance(found, dict) else None

    def _ask(self, path: str) -> object:
        if not self._known:
            self._introduce()
        vhost = quote(self._url.vhost, safe="")
        status, body, _ = self._get(f"/api/queues/{vhost}{path}?columns={_COLUMNS}", {"Authorization": self._login})
        if status == 404:
            return None
        if status != 200:
            said = "it refuses this user" if status in (401, 403) else f"it answers {status}"
            raise NoManagement(f"{self.address}: {said}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise NoManagement(f"{self.address}: it answers something else than JSON") from error

    def _introduce(self) -> None:
        status, _, realm = self._get("/api/overview", {})
        if status != 401 or _REALM not in realm:
            raise NoManagement(f"{self.address} is something else")
        self._known = True

    def _get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        try:
            connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
            if self._secure:
                context = tls_context(self._url.tls or TlsSettings())
                connection = HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
            try:
                connection.request("GET", self._path + path, headers=headers)
                response = connection.getresponse()
                return response.status, response.read(_MOST), response.headers.get("WWW-Authenticate", "")
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NoManagement(f"{self.address}: {why.lower()}") from error


def _usual_address(url: BrokerUrl) -> str:
    port = url.port + _PORT_OFFSET
    if port > 65_535:
        raise NoManagement(f"no port {port}")
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{'https' if url.tls else 'http'}://{host}:{port}"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _rate(stats: object, name: str) -> float | None:
    details = stats.get(name) if isinstance(stats, dict) else None
    return _number(details.get("rate")) if isinstance(details, dict) else None
