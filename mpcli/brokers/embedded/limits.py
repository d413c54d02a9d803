"""What the broker allows: defaults are RabbitMQ's where it has one."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, seconds and counts.

    `handshake` is the time until a connection is open, `closing` until the client has answered a close, `silence` until
    the socket of a client that does not speak AMQP is cut off. `memory` is the mark of bytes held in messages above
    which publishers are blocked until it sinks again.
    """

    frame_max: int = 131072
    channel_max: int = 2047
    heartbeat: int = 60
    handshake: float = 10.0
    closing: float = 10.0
    silence: float = 1.0
    connections: int = 2000
    message: int = 128 * MIB
    memory: int = 512 * MIB


# Section 4.2.3: what every peer must take. It holds until the connection is tuned.
FRAME_MIN = 4096
# RabbitMQ lets a frame be larger than agreed by its own overhead, because clients miscount.
FRAME_FUDGE = 8
