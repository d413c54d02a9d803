"""What a broker's close of a connection or channel means to the one who called."""

from __future__ import annotations

from mpcli.errors import BrokerError, BrokerRefused, BrokerUnreachable, ProtocolError
from mpcli.wire.url import BrokerUrl

# Section 1.2 of the specification; RabbitMQ uses NOT_ALLOWED for a vhost that is missing or forbidden.
CONNECTION_FORCED = 320
ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
NO_ROUTE = 312
NOT_ALLOWED = 530

_CHANNEL_HINTS = {
    ACCESS_REFUSED: "the user lacks a permission in this vhost",
    NOT_FOUND: "it does not exist on this broker, in this vhost",
    RESOURCE_LOCKED: "another connection owns it",
    PRECONDITION_FAILED: "it exists with other properties",
}


def is_about_us(code: int, text: str) -> bool:
    """Whether a handshake was refused for the user or the vhost, so that asking again in smaller steps is vain."""
    return code in (ACCESS_REFUSED, CONNECTION_FORCED) or (code == NOT_ALLOWED and "vhost" in text)


def connection_refusal(url: BrokerUrl, code: int, text: str) -> BrokerError:
    """The error for a connection that the broker closed with this code and text."""
    if code == ACCESS_REFUSED:
        return BrokerRefused(
            f"the broker at {url.address} refuses user {url.user!r}: {text}", "check user and password in the URL", code
        )
    if code == NOT_ALLOWED and "vhost" in text:
        return BrokerRefused(
            f"the broker at {url.address} refuses vhost {url.vhost!r}: {text}",
            "check the path of the URL; the vhost `/` is written as no path at all",
            code,
        )
    if code == CONNECTION_FORCED:
        return BrokerUnreachable(
            f"the broker at {url.address} closed the connection: {text}", "is it shutting down? try again"
        )
    if 501 <= code <= 506:
        return ProtocolError(f"the broker at {url.address} closed the connection: {code} {text}")
    return BrokerRefused(f"the broker at {url.address} closed the connection: {code} {text}", code=code)


def channel_refusal(url: BrokerUrl, code: int, text: str) -> BrokerRefused:
    """The error for a channel that the broker closed: what was asked for is missing, forbidden or contradictory."""
    return BrokerRefused(f"the broker at {url.address} refuses: {text}", _CHANNEL_HINTS.get(code, ""), code)
