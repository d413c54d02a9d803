"""Which ports the two local brokers get."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable, ConfigError
from mpcli.runner.events import PortMoved
from mpcli.runner.proc import owner_of_port

LOOPBACK = "127.0.0.1"
DEFAULT_PORTS = {Mode.SYNC: 5681, Mode.ASYNC: 5682}
# Seconds to wait for another platform of this user whose brokers are just starting.
_PATIENCE = 20
_GLANCE = 0.03


class PortsLock:
    """Held from the choice of ports until brokers listen on them: two platforms that start in the same moment would
    choose the same ones. It is an aid: where it cannot be had, the start goes on, and a lost race is an error then.

    The kernel releases it with its last holder, so nothing goes stale; forked processes share it.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        try:
            # Not TMPDIR: all platforms of a user must agree on the place. No link is followed in a folder of all users.
            self._descriptor = os.open(
                f"/tmp/mp-{os.getuid()}.ports",  # noqa: S108
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
            self._take(self._descriptor)
        except OSError:
            self.close()

    def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_GLANCE)

    def release(self) -> None:
        """The brokers listen: let the next one choose, whoever else of this run holds a copy."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of this process's copy."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def choose_ports(configured: dict[Mode, int | None]) -> tuple[dict[Mode, int], list[PortMoved]]:
    """A free port for each mode: the configured one, else the default, else any; and which defaults were taken.

    Raises `BrokerUnavailable` for a configured port that is taken, `ConfigError` for one that is given twice.
    """
    given = [port for port in configured.values() if port is not None]
    if len(set(given)) < len(given):
        raise ConfigError(f"both brokers are to listen on port {given[0]}", "give each a port of its own")
    ports: dict[Mode, int] = {}
    for mode, port in configured.items():
        if port is not None:
            _check_configured(mode, port)
            ports[mode] = port
    moved = []
    for mode in configured:
        if mode in ports:
            continue
        wanted = DEFAULT_PORTS[mode]
        if wanted not in ports.values() and _is_free(wanted):
            ports[mode] = wanted
            continue
        ports[mode] = _any_free_port()
        owner = "the other broker" if wanted in ports.values() else owner_of_port(wanted)
        moved.append(PortMoved(str(mode), wanted, ports[mode], owner))
    return {mode: ports[mode] for mode in configured}, moved


def _check_configured(mode: Mode, port: int) -> None:
    if _is_free(port):
        return
    owner = owner_of_port(port)
    raise BrokerUnavailable(
        f"port {port} for the {mode} broker is taken" + (f" by {owner}" if owner else ""),
        f"stop it, or choose another with --{mode}-port or broker.{mode}_port in mp.toml",
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that are still in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise BrokerUnavailable(f"port {port} may not be used by you", "ports below 1024 are root's") from error
            return False
    return True


def _any_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
