"""Finding a RabbitMQ that can be run from here, and the Erlang that it needs.

What is looked for is the folder of the release (it holds `sbin/rabbitmq-server` and `plugins/`), not just any
command of that name: Debian's `/usr/sbin/rabbitmq-server` is a wrapper that changes user and starts the machine's
own node with the machine's own data.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mpcli.errors import BrokerUnavailable

OLDEST = (3, 8)
"""The first release with quorum queues that honour a delivery limit."""
NEWEST = 4
"""The last major version whose settings are known."""

_ADMIN_FOLDERS = ("usr/local/sbin", "usr/sbin", "sbin", "opt/homebrew/sbin")
"""Where packages put the server, and ordinary users have no PATH to."""
_ERLANG_FOLDERS = ("usr/local/bin", "usr/bin", "opt/homebrew/bin")
_USUAL_FOLDERS = (
    "usr/lib/rabbitmq/lib/rabbitmq_server-*",  # Debian, Fedora
    "opt/homebrew/opt/rabbitmq",  # Homebrew on Apple silicon
    "usr/local/opt/rabbitmq",  # Homebrew on Intel
    "opt/rabbitmq",  # the official container image
    "opt/bitnami/rabbitmq",
    "usr/local/lib/erlang/lib/rabbitmq_server-*",  # FreeBSD
)
_HINT = "install the package rabbitmq-server, or set RABBITMQ_HOME to its folder, or use the embedded broker"


@dataclass(frozen=True, slots=True)
class Installation:
    """A release of RabbitMQ on this machine: its folder, its version, and the commands of its Erlang."""

    home: Path
    version: tuple[int, ...]
    erl: Path
    epmd: Path

    @property
    def server(self) -> Path:
        """The release's own start script, which neither changes user nor folder."""
        return self.home / "sbin" / "rabbitmq-server"

    @property
    def plugins(self) -> Path:
        """The folder of all Erlang applications of the release."""
        return self.home / "plugins"


def find_installation(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Installation:
    """The RabbitMQ of this machine. Raises `BrokerUnavailable` when there is none, or none that is supported.

    `root` is where the usual folders are looked for; those that `environ` names are taken as they are.
    """
    environ = os.environ if environ is None else environ
    for home in _candidates(environ, root):
        version = _version_of(home)
        if version is not None and os.access(home / "sbin" / "rabbitmq-server", os.X_OK):
            _check_version(home, version)
            erl, epmd = _find_erlang(environ, root)
            return Installation(home, version, erl, epmd)
    raise BrokerUnavailable("no RabbitMQ was found on this machine", _HINT)


def _candidates(environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    if configured := environ.get("RABBITMQ_HOME"):
        if _version_of(Path(configured)) is None:
            raise BrokerUnavailable(
                f"RABBITMQ_HOME is {configured}, which is no RabbitMQ release: it has no plugins/rabbit-*",
                "name the folder that holds sbin/ and plugins/, or unset it",
            )
        yield Path(configured)
    if command := _which("rabbitmq-server", environ, root, _ADMIN_FOLDERS):
        yield from _releases_of(command)
    for pattern in _USUAL_FOLDERS:
        yield from _newest_first(root.glob(pattern))


def _releases_of(command: Path) -> Iterator[Path]:
    """The release that a command belongs to: directly, through links, or as a wrapper that lies above it."""
    target = command.resolve()
    yield command.parent.parent
    yield target.parent.parent
    yield from _newest_first((target.parent.parent / "lib").glob("rabbitmq_server-*"))


def _newest_first(homes: Iterator[Path]) -> list[Path]:
    return sorted(homes, key=lambda home: _version_of(home) or (), reverse=True)


def _version_of(home: Path) -> tuple[int, ...] | None:
    """The version of the release in `home`, from its core application: a folder or an archive `rabbit-3.10.8[.ez]`."""
    for entry in home.glob("plugins/rabbit-[0-9]*"):
        if numbers := re.match(r"rabbit-(\d+)\.(\d+)(?:\.(\d+))?", entry.name):
            return tuple(int(number) for number in numbers.groups() if number)
    return None


def _check_version(home: Path, version: tuple[int, ...]) -> None:
    if version[:2] < OLDEST or version[0] > NEWEST:
        raise BrokerUnavailable(
            f"the RabbitMQ in {home} is {'.'.join(map(str, version))}; "
            f"supported are {'.'.join(map(str, OLDEST))} to {NEWEST}.x",
            "set RABBITMQ_HOME to another release, or use the embedded broker",
        )


def _which(command: str, environ: Mapping[str, str], root: Path, further: tuple[str, ...]) -> Path | None:
    folders = [environ.get("PATH", os.defpath), *(str(root / folder) for folder in further)]
    found = shutil.which(command, path=os.pathsep.join(folders))
    return Path(found) if found else None


def _find_erlang(environ: Mapping[str, str], root: Path) -> tuple[Path, Path]:
    """The commands `erl` and `epmd`. The latter lies beside the former, or in the runtime's own folder."""
    erl = _which("erl", environ, root, _ERLANG_FOLDERS)
    if erl is None:
        raise BrokerUnavailable("RabbitMQ is here, but no Erlang: there is no `erl` on PATH", _HINT)
    runtime = erl.resolve().parent.parent
    for epmd in (erl.parent / "epmd", runtime / "bin/epmd", *sorted(runtime.glob("erts-*/bin/epmd"), reverse=True)):
        if os.access(epmd, os.X_OK):
            return erl, epmd
    raise BrokerUnavailable(f"Erlang is here ({erl}), but its port mapper `epmd` is not", _HINT)
