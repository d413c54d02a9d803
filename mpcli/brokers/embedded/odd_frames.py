"""Frames that are none, or not those that are due, and RabbitMQ's words for them."""

from __future__ import annotations

from mpcli.brokers.embedded.refusal import Refusal, as_binary
from mpcli.errors import ProtocolError
from mpcli.wire.frames import FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT
from mpcli.wire.methods import Method, method_of

# A refusal that is nobody's method in particular says class 0, method 0.
NO_METHOD = 0


def known(payload: bytes) -> Method:
    """The method of a frame. Raises `Refusal` when there is none of that number."""
    try:
        return method_of(payload)
    except ProtocolError as error:
        raise Refusal("COMMAND_INVALID", "unknown method", NO_METHOD) from error


def strange_frame(kind: int, payload: bytes, *, on_channel: bool = False) -> Refusal:
    """What is wrong with a frame that is no method where a method was due."""
    content = (kind == FRAME_HEADER and len(payload) >= 12) or kind == FRAME_BODY
    if content and on_channel:
        return Refusal("UNEXPECTED_FRAME", "expected method frame, got non method frame instead", NO_METHOD)
    if content or (kind == FRAME_HEARTBEAT and not payload):
        return Refusal("UNEXPECTED_FRAME", f"type {kind}, {snippet(payload)}", NO_METHOD)
    return Refusal("FRAME_ERROR", f"type {kind}, {snippet(payload)}: unknown_frame", NO_METHOD)


def snippet(payload: bytes) -> str:
    """How texts show a frame."""
    return f"{'all' if len(payload) <= 16 else 'first 16'} octets = {as_binary(payload[:16])}"
