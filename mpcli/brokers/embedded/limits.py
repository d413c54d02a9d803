"""What the broker allows: defaults are RabbitMQ's where it has one."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, seconds and counts.

    `handshake` is the time until a connection is open, `closing` until the client has answered a close, `silence` until
    the socket of a client that does not speak AMQP is cut off. `memory` is the mark of bytes held in messages above
    which publishers are blocked until it sinks again; messages of which a part is still to come may hold as much, and
    one of the largest, on each connection. `unread` is what a client may leave unread before no more of what
    it asks for is carried out: more than a message, so that deliveries alone, which stop much earlier, never reach it.
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
    unread: int = 160 * MIB


# Section 4.2.3: what every peer must take. It holds until the connection is tuned.
FRAME_MIN = 4096
# RabbitMQ lets a frame be larger than agreed by its own overhead, because clients miscount.
FRAME_FUDGE = 8


def raise_open_files(wanted: int = 65_536) -> None:
    """Let this process open as many files as it may, at most `wanted`: a connection is a file, the usual limit 1024.

    For a broker that is a process of its own; a library leaves its process's limits alone.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
