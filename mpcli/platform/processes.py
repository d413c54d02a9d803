"""What a process of the platform is: said by brokers and workers, carried out by the runner."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AmqpPort:
    """Ready when `host:port` answers the AMQP protocol header with a frame."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TcpPort:
    """Ready when `host:port` accepts a connection."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Consumers:
    """Ready when the queue has at least `count` consumers on the broker at `url`."""

    url: str
    queue: str
    count: int = 1


Readiness = AmqpPort | TcpPort | Consumers


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: how to start it, when it is ready, how to stop it.

    `stage` orders starts (all of a stage are ready before the next begins) and, backwards, stops. `grace` is in
    seconds, from `stop_signal` to SIGKILL of its whole process group.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)
    ready: Readiness | None = None
    stage: int = 0
    start_timeout: float = 30.0
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
