"""The supervisor's hold on its reaper: it is told of every process, and is started again when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys

from mpcli.platform.state import RunningProcess

# Seconds that the reaper may take for its last look; the same work as `end_leftovers` with nothing left to end.
_PATIENCE = 30.0


class Guard:
    """Starts the reaper, feeds it, and at the end lets it take its last look."""

    def __init__(self, run: str, lock: int) -> None:
        self._run = run
        self._lock = lock
        self._known: dict[str, RunningProcess] = {}
        self._reaper = self._start()

    @property
    def pid(self) -> int:
        """The reaper's pid."""
        return self._reaper.pid

    def watch(self, process: RunningProcess) -> None:
        """Tell the reaper of a process that was just started."""
        self._known[process.name] = process
        self._tell(process)

    def look(self) -> bool:
        """Start a new reaper if this one is gone, with all that the old one knew; True when that was so."""
        if self._reaper.poll() is None:
            return False
        self._close_pipe()
        self._reaper = self._start()
        for process in self._known.values():
            self._tell(process)
        return True

    async def end(self) -> None:
        """Close the pipe and wait until the reaper has made sure that nothing is left."""
        self._close_pipe()
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while self._reaper.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                self._reaper.kill()
            await asyncio.sleep(0.01)

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: the folder that `mp up` was called in may hold a json.py, and must not be on the reaper's path.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "mpcli.runner.reaper", self._run],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._lock],
        )

    def _tell(self, process: RunningProcess) -> None:
        # A reaper that was killed this moment is replaced by `look`, and its successor is told everything.
        with contextlib.suppress(BrokenPipeError):
            assert self._reaper.stdin is not None
            self._reaper.stdin.write(json.dumps(process.as_dict()).encode() + b"\n")
            self._reaper.stdin.flush()

    def _close_pipe(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            assert self._reaper.stdin is not None
            self._reaper.stdin.close()
