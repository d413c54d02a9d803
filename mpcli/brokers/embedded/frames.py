"""Frames on the hot path: built in one piece, from bytes that are kept as they are."""

from __future__ import annotations

from struct import Struct

from mpcli.wire.frames import FRAME_OVERHEAD

_START = Struct(">BHI")
# The end of one frame and the start of the next, in one go.
_END_AND_START = Struct(">BBHI")
_END = b"\xce"
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


def content(channel: int, method: bytes, header: bytes, body: bytes, frame_max: int) -> bytes:
    """A method that carries a message, with its header and body frames, as one piece."""
    size = len(body)
    if size + FRAME_OVERHEAD > frame_max or not size:
        return _in_parts(channel, method, header, body, frame_max)
    return b"".join(
        (
            _START.pack(1, channel, len(method)),
            method,
            _END_AND_START.pack(0xCE, 2, channel, len(header)),
            header,
            _END_AND_START.pack(0xCE, 3, channel, size),
            body,
            _END,
        )
    )


def _in_parts(channel: int, method: bytes, header: bytes, body: bytes, frame_max: int) -> bytes:
    parts = [
        _START.pack(1, channel, len(method)),
        method,
        _END_AND_START.pack(0xCE, 2, channel, len(header)),
        header,
    ]
    room = frame_max - FRAME_OVERHEAD
    for at in range(0, len(body), room):
        part = body[at : at + room]
        parts.append(_END_AND_START.pack(0xCE, 3, channel, len(part)))
        parts.append(part)
    parts.append(_END)
    return b"".join(parts)
