"""What of a platform is running now: one small file, written by the supervisor, read by every other command.

It holds URLs with passwords, so its mode is 0600; it is replaced atomically, and a reader checks that the
process it names is alive and is the one that wrote it.
"""

from __future__ import annotations

import json
import os

from mpcli.bus.naming import Mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

STATE_FILE = "state.json"

# What a process of the platform is, and how far it is.
BROKER, WORKER = "broker", "worker"
STARTING, READY, EXITED = "starting", "ready", "exited"


class RunningProcess:
    """A process of the running platform. `started` is its kernel start time, which tells a reused pid apart.

    It leads a process group of its own, whose id is `pid`. `status` is what the supervisor saw last; `ended` says
    how an exited one ended (`exit code 1`, `killed by SIGKILL`). `stage` orders its stop: the highest first.
    """

    __slots__ = ("ended", "name", "pid", "role", "stage", "started", "status")

    def __init__(
        self,
        name: str,
        pid: int,
        started: str,
        role: str = "",
        status: str = "",
        ended: str = "",
        stage: int = 0,
    ) -> None:
        self.name = name
        self.pid = pid
        self.started = started
        self.role = role
        self.status = status
        self.ended = ended
        self.stage = stage

    @property
    def alive(self) -> bool:
        """Whether the pid is still this process and not a later one with the same number."""
        return bool(self.started) and start_time(self.pid) == self.started

    def as_dict(self) -> dict[str, object]:
        """All fields, as `RunningProcess(**fields)` takes them."""
        return {slot: getattr(self, slot) for slot in self.__slots__}


class RunningState:
    """The supervisor, its broker URLs and its processes; `ready` once all of them were.

    `run` names this one run of the platform: every process that it started has it in its environment as MP_RUN.
    """

    __slots__ = ("broker", "processes", "ready", "run", "supervisor", "urls")

    def __init__(
        self,
        supervisor: RunningProcess,
        broker: str,
        urls: dict[Mode, str],
        processes: list[RunningProcess],
        ready: bool,
        run: str = "",
    ) -> None:
        self.supervisor = supervisor
        self.broker = broker
        self.urls = urls
        self.processes = processes
        self.ready = ready
        self.run = run


def start_time(pid: int) -> str:
    """When the kernel started the process, as an opaque text; empty when there is no such process or it is a zombie.

    Source: proc(5), field 22 of /proc/PID/stat. Where there is no /proc the answer of `ps` is used.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        return "" if os.path.isdir("/proc/self") else _start_time_by_ps(pid)
    except ProcessLookupError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _start_time_by_ps(pid: int) -> str:
    import subprocess

    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return done.stdout.strip()


def this_process(name: str = "supervisor") -> RunningProcess:
    """The calling process, as it stands in the state file."""
    return RunningProcess(name, os.getpid(), start_time(os.getpid()))


def read_state(runtime: Path | str) -> RunningState | None:
    """The last state written, whether or not its supervisor is still alive; None when there is none to read."""
    try:
        with open(os.path.join(runtime, STATE_FILE), encoding="utf-8") as file:
            data = json.load(file)
        return RunningState(
            supervisor=RunningProcess(**data["supervisor"]),
            broker=data["broker"],
            urls={Mode(mode): url for mode, url in data["urls"].items()},
            processes=[RunningProcess(**process) for process in data["processes"]],
            ready=data["ready"],
            run=data["run"],
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # of another version, or torn by a full disk: as good as absent


def write_state(runtime: Path, state: RunningState) -> None:
    """Replace the state file, so that a reader sees the old one or the new one and never a part."""
    data = {
        "run": state.run,
        "supervisor": state.supervisor.as_dict(),
        "broker": state.broker,
        "urls": {str(mode): url for mode, url in state.urls.items()},
        "processes": [process.as_dict() for process in state.processes],
        "ready": state.ready,
    }
    temporary = runtime / f"{STATE_FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
    os.replace(temporary, runtime / STATE_FILE)


def remove_state(runtime: Path) -> None:
    """Forget what ran."""
    (runtime / STATE_FILE).unlink(missing_ok=True)
