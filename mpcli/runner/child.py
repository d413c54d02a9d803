"""One process of a running platform: started in a session of its own, read line by line, ended with its group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable

from mpcli.platform.processes import ProcessSpec
from mpcli.platform.state import EXITED, STARTING, RunningProcess, start_time

# A line longer than this many bytes is shown in pieces, so that no process can fill the supervisor's memory.
_LONGEST_LINE = 65536
_KEPT_LINES = 20
# More than a pipe holds: the last words of a process are all of them.
_LAST_PIECES = 64


class Child:
    """A started process. Made by `spawn`, in a running event loop whose SIGCHLD handler calls `look`."""

    def __init__(
        self, spec: ProcessSpec, role: str, process: subprocess.Popen[bytes], on_line: Callable[[str], None]
    ) -> None:
        self.spec = spec
        self.pid = process.pid
        self.began = time.monotonic()
        self.row = RunningProcess(spec.name, process.pid, start_time(process.pid), role, STARTING, stage=spec.stage)
        self.asked_to_end = False
        self.wrote = asyncio.Event()
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process = process
        self._on_line = on_line
        self._rest = b""
        assert process.stdout is not None
        self._pipe = process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    @classmethod
    def spawn(cls, spec: ProcessSpec, role: str, env: dict[str, str], on_line: Callable[[str], None]) -> Child:
        """Start the process in a session of its own: neither Ctrl-C nor a closing terminal reaches it directly.

        Raises `OSError` when there is no such program or folder.
        """
        process = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env={**os.environ, **spec.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(spec, role, process, on_line)

    @property
    def running(self) -> bool:
        """Whether its end was not seen yet."""
        return not self.ended.done()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def look(self) -> bool:
        """See whether it ended; if so end its group, read its last words, and return True the first time."""
        if self.ended.done() or not self._is_over():
            return False
        # A killed worker leaves its pool behind. As long as the dead leader is not waited for, the kernel gives
        # its number to no other group.
        self._signal_group(signal.SIGKILL)
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._read(_LAST_PIECES)
        self._flush()
        self.row.status, self.row.ended = EXITED, how
        self.ended.set_result(how)
        return True

    def stop(self) -> None:
        """Ask the leader, and it alone, to end: how its children end is its own matter."""
        self.asked_to_end = True
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.spec.stop_signal)

    def kill(self) -> None:
        """End the whole group at once."""
        self.asked_to_end = True
        if self.running:
            self._signal_group(signal.SIGKILL)

    def close(self) -> None:
        """Stop reading what it writes."""
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            self._pipe = -1
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _is_over(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _read(self, pieces: int = 1) -> None:
        """Read what is there, at most so many pieces: a process that writes without end leaves others their turn."""
        for _ in range(pieces):
            if self._pipe < 0:
                return
            try:
                data = os.read(self._pipe, _LONGEST_LINE)
            except BlockingIOError:
                return
            if not data:
                self._flush()
                self.close()
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._line(line)
            if len(self._rest) >= _LONGEST_LINE:
                self._flush()

    def _flush(self) -> None:
        if self._rest:
            line, self._rest = self._rest, b""
            self._line(line)

    def _line(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace").removesuffix("\r")
        self.last_lines.append(text)
        self.wrote.set()
        self._on_line(text)
