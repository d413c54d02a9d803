"""What happens while a platform starts, runs and stops. Facts only: how they look is the renderer's business.

Text in them may come from a process that runs foreign code: whoever prints it escapes it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class PortMoved:
    """The default port of a mode's broker is taken, by `owner` where that is known, so it gets another."""

    mode: str
    wanted: int
    port: int
    owner: str


@dataclass(frozen=True, slots=True)
class LeftoversEnded:
    """Processes of an earlier run, whose supervisor was killed, were still there and were ended."""

    processes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """The process exists; it is not ready yet."""

    process: str
    role: str
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessReady:
    """The process does its work now; `seconds` since it was started."""

    process: str
    role: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TopologyDeclared:
    """Exchanges, queues and bindings of these services exist on both brokers."""

    services: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PlatformReady:
    """All is ready, `seconds` after the command began; URLs are without passwords.

    `brokers`, `topology` and `workers` are the seconds that each part took; the last two run side by side.
    """

    seconds: float
    brokers: float
    topology: float
    workers: float
    broker: str
    urls: dict[str, str]
    supervisor: int
    services: tuple[str, ...]
    detached: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """A line that a process wrote, without its line end."""

    process: str
    line: str


@dataclass(frozen=True, slots=True)
class ProcessDied:
    """A process ended that nobody had asked to. `how` is `exit code 1` or `killed by SIGKILL`."""

    process: str
    role: str
    pid: int
    how: str
    last_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stopping:
    """The processes are being stopped, because of `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProcessStopped:
    """The process and its whole group are gone; `killed` when it had to be, after `seconds` of grace."""

    process: str
    role: str
    seconds: float
    killed: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing of the platform runs any more."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NothingRuns:
    """There was nothing to stop."""

    platform: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know and that stops nothing."""

    text: str


Event = (
    PortMoved
    | LeftoversEnded
    | ProcessStarted
    | ProcessReady
    | TopologyDeclared
    | PlatformReady
    | Log
    | ProcessDied
    | Stopping
    | ProcessStopped
    | Stopped
    | NothingRuns
    | Warned
)

_KINDS: dict[str, type[Event]] = {
    "port-moved": PortMoved,
    "leftovers-ended": LeftoversEnded,
    "started": ProcessStarted,
    "process-ready": ProcessReady,
    "topology": TopologyDeclared,
    "ready": PlatformReady,
    "log": Log,
    "died": ProcessDied,
    "stopping": Stopping,
    "process-stopped": ProcessStopped,
    "stopped": Stopped,
    "nothing-runs": NothingRuns,
    "warning": Warned,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def as_dict(event: Event) -> dict[str, object]:
    """The event as a JSON object; `event` says which one it is."""
    return {"event": _NAMES[type(event)], **asdict(event)}


def from_dict(data: dict[str, object]) -> Event:
    """The inverse of `as_dict`, for what came through JSON. Raises `KeyError` or `TypeError` for anything else."""
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "event"}
    return _KINDS[str(data["event"])](**fields)  # type: ignore[arg-type] # checked by the constructor's own signature
