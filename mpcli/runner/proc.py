"""The processes of this machine: who belongs to a run, what memory it takes, who holds a port.

Linux tells all of it in /proc; elsewhere `ps` tells pids, groups and memory, and the rest stays unknown.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

RUN_VARIABLE = "MP_RUN"


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process; `resident` is its resident memory in bytes."""

    pid: int
    parent: int
    group: int
    resident: int


def all_processes() -> list[ProcessRow]:
    """Every process that can be seen, zombies left out."""
    if not os.path.isdir("/proc/self"):
        return _all_by_ps()
    return [row for pid in _pids() if (row := _read_row(pid)) is not None]


def pids_of_run(run: str) -> list[int]:
    """The processes that were started with `MP_RUN=run` in their environment, however far they have moved since."""
    marker = f"{RUN_VARIABLE}={run}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and marker in _environ(pid)]


def resident_of_group(rows: list[ProcessRow], leader: int) -> int:
    """Bytes of resident memory of a process and all below it, or in its group."""
    below = {leader}
    grown = True
    while grown:
        new = {row.pid for row in rows if row.parent in below or row.group == leader} - below
        below |= new
        grown = bool(new)
    return sum(row.resident for row in rows if row.pid in below)


def uptime_of(pid: int) -> float | None:
    """Seconds since the process was started, or None where that is unknown."""
    from mpcli.platform.state import start_time

    try:
        with open("/proc/uptime", encoding="ascii") as file:
            now = float(file.read().split()[0])
        return max(0.0, now - int(start_time(pid)) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError):
        return None


def owner_of_port(port: int) -> str:
    """Who listens on a local TCP port, as `redis-server *:5681 (pid 42)`; empty when that cannot be known."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for pid in _pids():
        if not inodes.isdisjoint(_open_files(pid)):
            return f"{command_line(pid)} (pid {pid})"
    return "a process of another user"


def command_line(pid: int) -> str:
    """How a process was called, cut to a readable length."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        if not text:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                text = file.read().strip()
    except OSError:
        return ""
    return text if len(text) <= 100 else text[:97] + "..."


def _listening_inodes(port: int) -> Iterator[str]:
    # proc_net(5): local address as hex host:port, state 0A is LISTEN, the inode is the tenth column.
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        for row in rows:
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port:
                yield row[9]


def _open_files(pid: int) -> Iterator[str]:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                try:
                    yield os.readlink(entry.path)
                except OSError:
                    continue
    except OSError:
        return


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _environ(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []  # gone, or of another user


def _read_row(pid: int) -> ProcessRow | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open(f"/proc/{pid}/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return ProcessRow(pid, int(fields[1]), int(fields[2]), pages * os.sysconf("SC_PAGE_SIZE"))


def _all_by_ps() -> list[ProcessRow]:
    done = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,rss="], capture_output=True, text=True, check=False, timeout=5
    )
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines() if line.strip()]
    return [ProcessRow(pid, parent, group, kilobytes * 1024) for pid, parent, group, kilobytes in rows]
