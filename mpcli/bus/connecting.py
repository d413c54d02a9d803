"""Opening a connection to a broker, fast or with an error that says what is wrong; what a broker's no means."""

from __future__ import annotations

import socket
from ssl import SSLError
from struct import error as StructError
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, NotFound
from kombu.transport.pyamqp import Channel as KombuChannel
from kombu.transport.pyamqp import Connection as KombuConnection
from kombu.utils.url import parse_url

from mpcli.bus.urls import address, normalise
from mpcli.errors import BrokerError, BrokerRefused, BrokerUnreachable, UnknownService

HEARTBEAT = 10.0
CONNECT_TIMEOUT = 4.0
# For what blocks in between, in seconds: a broker that is stuck does not stop its clients for good.
_IO_TIMEOUT = 10.0


class Channel(KombuChannel):  # type: ignore[misc]  # kombu has no types
    """A channel that tells its owner that the broker closed it, instead of opening itself again and raising in the
    middle of whatever the connection was waiting for."""

    on_closed: Any = None

    def _on_close(self, reply_code: int, reply_text: str, class_id: int, method_id: int) -> None:
        from amqp import spec
        from amqp.exceptions import ChannelError, error_for_code

        self.send_method(spec.Channel.CloseOk)
        error = error_for_code(reply_code, reply_text, (class_id, method_id), ChannelError)
        notify = self.on_closed
        self.collect()
        if notify is None:
            raise error
        notify(error)


class Connection(KombuConnection):  # type: ignore[misc]  # kombu has no types
    """py-amqp's connection with the channel above."""

    Channel = Channel


def connect(url: str, timeout: float = CONNECT_TIMEOUT, name: str = "mpcli") -> Any:
    """A connected py-amqp connection to the first host that answers; several URLs are separated by `;`.

    Raises `BrokerUnreachable` when none does, `BrokerRefused` when one does and says no.
    """
    failure: BrokerError | None = None
    for one in normalise(url).split(";"):
        try:
            return _connect_one(one, timeout, name)
        except BrokerError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _connect_one(url: str, timeout: float, name: str) -> Any:
    parts = parse_url(url)
    tls = parts["transport"] == "amqps"
    host = parts["hostname"] or "localhost"
    host = f"[{host}]" if ":" in host else host
    connection = Connection(
        host=f"{host}:{parts['port'] or (5671 if tls else 5672)}",
        userid=parts["userid"] or "guest",
        password=parts["password"] or "guest",
        virtual_host=parts["virtual_host"] or "/",
        login_method="PLAIN",
        ssl={"server_hostname": parts["hostname"]} if tls else False,
        connect_timeout=timeout,
        read_timeout=_IO_TIMEOUT,
        write_timeout=_IO_TIMEOUT,
        heartbeat=HEARTBEAT,
        client_properties={"connection_name": name},
    )
    try:
        connection.connect()
    except (AMQPError, OSError, StructError, ValueError, IndexError) as error:
        connection.collect()
        raise broker_error(error, address(url), "connecting", parts["userid"] or "guest") from error
    return connection


def broker_error(error: BaseException, place: str, doing: str, user: str = "") -> BrokerError:
    """What the failure of a connection means."""
    text = str(error) or type(error).__name__
    if isinstance(error, AccessRefused):
        who = f" for user {user!r}" if user else ""
        return BrokerRefused(f"the broker at {place} refused{who}: {text}", "check the user, password and permissions")
    if isinstance(error, NotAllowed):
        return BrokerRefused(f"the broker at {place} refused: {text}", "check the vhost and the user's permissions")
    if isinstance(error, SSLError):
        return BrokerUnreachable(f"no TLS with the broker at {place}: {text}", "check the certificates and the port")
    if isinstance(error, AMQPError) and getattr(error, "reply_code", None) in (402, 405, 406, 540):
        return BrokerRefused(f"the broker at {place} refused {doing}: {text}")
    if isinstance(error, (socket.timeout, TimeoutError)):
        text = "no AMQP answer in time"
    elif isinstance(error, (StructError, ValueError, IndexError)):
        text = "what answers there does not speak AMQP 0-9-1"
    return BrokerUnreachable(f"no broker at {place}: {text}", "is it running? `mp up` starts the local ones")


def publish_error(error: BaseException, exchange: str, place: str) -> BrokerError | UnknownService:
    """What it means that the broker closed the channel of messages to this exchange."""
    if isinstance(error, NotFound):
        return UnknownService(
            f"there is no service {exchange} on the broker at {place}",
            "`mp tasks` lists the ones there are; a service appears when its worker or `mp up` first starts",
        )
    return broker_error(error, place, f"a message to {exchange}")


def return_error(task: str, exchange: str) -> UnknownService:
    """What it means that the broker gave a message of this task back."""
    queue = task.rpartition(".")[0]
    return UnknownService(
        f"{task} reaches no queue: {exchange} is there, its queue {queue} is not, or is not bound",
        f"start a worker of {queue} once: it declares the queue",
    )
