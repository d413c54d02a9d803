"""The methods of class connection: who the client is, what was agreed, which virtual host it opens."""

from __future__ import annotations

import hmac
import platform
from typing import TYPE_CHECKING, cast

from mpcli.brokers.embedded.limits import FRAME_MIN
from mpcli.brokers.embedded.refusal import Refusal
from mpcli.errors import ProtocolError
from mpcli.wire.codec import Table, decode_table, encode_longstr
from mpcli.wire.methods import (
    CONNECTION_CLOSE,
    CONNECTION_OPEN,
    CONNECTION_OPEN_OK,
    CONNECTION_START,
    CONNECTION_START_OK,
    CONNECTION_TUNE,
    CONNECTION_TUNE_OK,
    CONNECTION_UPDATE_SECRET,
    CONNECTION_UPDATE_SECRET_OK,
    Method,
)

if TYPE_CHECKING:
    from mpcli.brokers.embedded.connection import Connection

# Clients choose their behaviour by product and version (kombu: qos; others: whether confirms exist), so the broker
# says what it is compatible with. `information` says what it is.
_CAPABILITIES: Table = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "consumer_priorities": True,
    "authentication_failure_close": True,
    "per_consumer_qos": True,
    "direct_reply_to": True,
}
_PROPERTIES: Table = {
    "capabilities": _CAPABILITIES,
    "cluster_name": "mp@localhost",
    "copyright": "MIT license",
    "information": "the embedded development broker of mp, compatible with RabbitMQ",
    "platform": f"Python {platform.python_version()}",
    "product": "RabbitMQ",
    "version": "3.10.8",
}


def start(connection: Connection) -> None:
    """Greet."""
    connection.send(CONNECTION_START.frame(0, 0, 9, _PROPERTIES, "PLAIN AMQPLAIN", "en_US"))


def handle(connection: Connection, method: Method, values: list[object]) -> None:
    """The next step of the handshake, or one of the methods that come later."""
    state = connection.state
    if method is CONNECTION_START_OK and state == "start":
        _start_ok(connection, cast(Table, values[0]), str(values[1]), cast(bytes, values[2]))
    elif method is CONNECTION_TUNE_OK and state == "tune":
        _tune_ok(connection, *cast(list[int], values))
    elif method is CONNECTION_OPEN and state == "open":
        _open(connection, str(values[0]))
    elif method is CONNECTION_UPDATE_SECRET and state == "running":
        connection.send(CONNECTION_UPDATE_SECRET_OK.frame(0))
    else:
        names = {"start": "starting", "tune": "tuning", "open": "opening"}
        raise Refusal("CHANNEL_ERROR", f"unexpected method in connection state {names.get(state, state)}")


def _start_ok(connection: Connection, properties: Table, mechanism: str, response: bytes) -> None:
    capabilities = properties.get("capabilities")
    connection.capabilities = capabilities if isinstance(capabilities, dict) else {}
    user, password = _credentials(mechanism, response)
    expected = connection.broker.users.get(user)
    if expected is None or not hmac.compare_digest(expected.encode(), password):
        _refuse_login(connection, mechanism)
        return
    connection.user = user
    connection.state = "tune"
    limits = connection.broker.limits
    connection.send(CONNECTION_TUNE.frame(0, limits.channel_max, limits.frame_max, limits.heartbeat))


def _credentials(mechanism: str, response: bytes) -> tuple[str, bytes]:
    if mechanism == "PLAIN":
        parts = response.split(b"\0")
        if len(parts) == 3 and not parts[0]:
            return parts[1].decode("utf-8", "surrogateescape"), parts[2]
        raise Refusal("SYNTAX_ERROR", "PLAIN response is not user and password")
    if mechanism == "AMQPLAIN":
        try:
            table, _ = decode_table(encode_longstr(response))
        except ProtocolError as error:
            raise Refusal("SYNTAX_ERROR", "AMQPLAIN response is no table") from error
        login, password = table.get("LOGIN"), table.get("PASSWORD")
        if isinstance(login, str) and isinstance(password, str):
            return login, password.encode("utf-8", "surrogateescape")
        raise Refusal("SYNTAX_ERROR", "AMQPLAIN auth info is missing LOGIN or PASSWORD field")
    raise Refusal("COMMAND_INVALID", f"unknown authentication mechanism '{mechanism}'")


def _refuse_login(connection: Connection, mechanism: str) -> None:
    if connection.capable("authentication_failure_close"):
        text = (
            f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. "
            "For details see the broker logfile."
        )
        connection.send(CONNECTION_CLOSE.frame(0, 403, text, 0, 0))
        connection.state = "closing"
    else:
        connection.hang_up(connection.broker.limits.silence)


def _tune_ok(connection: Connection, channel_max: int, frame_max: int, heartbeat: int) -> None:
    limits = connection.broker.limits
    _negotiated("frame_max", frame_max, FRAME_MIN, limits.frame_max, "")
    _negotiated("channel_max", channel_max, 1, limits.channel_max, " (no limit)")
    connection.frame_max = connection.read_max = frame_max
    connection.channel_max = channel_max
    connection.heartbeat = heartbeat
    connection.state = "open"


def _negotiated(name: str, value: int, least: int, most: int, zero: str) -> None:
    if value and value < least:
        text = f"is lower than the minimum allowed value ({least})"
    elif value > most or not value:
        text = f"is higher than the maximum allowed value ({most})"
    else:
        return
    raise Refusal("NOT_ALLOWED", f"negotiated {name} = {value}{'' if value else zero} {text}", CONNECTION_TUNE.id)


def _open(connection: Connection, name: str) -> None:
    vhost = connection.broker.vhosts.get(name)
    if vhost is None:
        raise Refusal("NOT_ALLOWED", f"vhost {name} not found")
    connection.vhost = vhost
    connection.send(CONNECTION_OPEN_OK.frame(0))
    connection.running()
