"""Frames of AMQP 0-9-1 (section 4.2.3 of the specification): made, and cut out of a stream of bytes."""

from __future__ import annotations

from struct import Struct

from mpcli.errors import ProtocolError

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
FRAME_OVERHEAD = 8
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

FRAME_START = Struct(">BHI")
# Content header, section 4.2.6.1: class, weight (always 0), body size; the property flags follow.
CONTENT_START = Struct(">HHQ")

Frame = tuple[int, int, bytes]


def encode_frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One frame, section 4.2.3."""
    return b"%b%b\xce" % (FRAME_START.pack(kind, channel, len(payload)), payload)


def encode_content(channel: int, properties: bytes, body: bytes, frame_max: int) -> bytes:
    """Header and body frames of a message; `properties` as `encode_properties` gives them, or copied unchanged."""
    header = CONTENT_START.pack(60, 0, len(body)) + properties
    frames = [encode_frame(FRAME_HEADER, channel, header)]
    room = frame_max - FRAME_OVERHEAD if frame_max else len(body) or 1
    frames += [encode_frame(FRAME_BODY, channel, body[at : at + room]) for at in range(0, len(body), room)]
    return b"".join(frames)


class FrameSplitter:
    """Cuts a stream of bytes into frames, whatever the sizes in which it arrives."""

    __slots__ = ("_pending", "frame_max")

    def __init__(self, frame_max: int = 0) -> None:
        self._pending = b""
        # Bytes of a whole frame, 0 for no limit; the owner changes it when it was negotiated.
        self.frame_max = frame_max

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises `ProtocolError` for a broken or too large frame."""
        if self._pending:
            data = self._pending + data
        frames: list[Frame] = []
        at, size = 0, len(data)
        while size - at >= 7:
            kind, channel, length = FRAME_START.unpack_from(data, at)
            if self.frame_max and length + FRAME_OVERHEAD > self.frame_max:
                raise ProtocolError(f"a frame of {length + FRAME_OVERHEAD} bytes, above the limit of {self.frame_max}")
            end = at + 7 + length
            if end >= size:
                break
            if data[end] != FRAME_END:
                raise ProtocolError("a frame does not end where it says")
            frames.append((kind, channel, data[at + 7 : end]))
            at = end + 1
        self._pending = data[at:]
        return frames
