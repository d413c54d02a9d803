"""One private node: its files and the environment that keeps it apart from every other node of the machine."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from mpcli.brokers.rabbitmq.installation import Installation
from mpcli.platform.processes import AmqpPort, ProcessSpec

LOOPBACK = "127.0.0.1"
USER = "mp"

# `localhost` must be known to the node without asking the machine's resolver: an answer other than 127.0.0.1
# would stop it, and the helper process that asks would be one more to look after.
_RESOLVER = '{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n'


@dataclass(frozen=True, slots=True)
class Node:
    """What tells one node from another. `password` is that of the user `mp`; `folder` holds all of its files."""

    name: str
    folder: Path
    port: int
    distribution_port: int
    epmd_port: int
    password: str

    @property
    def erlang_name(self) -> str:
        """The node's name in Erlang's own terms."""
        return f"mp-{self.name}@localhost"

    @property
    def url(self) -> str:
        """The AMQP URL of the node's vhost `/`, with the password."""
        return f"amqp://{USER}:{self.password}@{LOOPBACK}:{self.port}/%2F"


def private_text(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace `file` by one that its owner alone can read, in one step."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(temporary, file)


def secret(file: Path, mode: int) -> str:
    """The secret that `file` keeps, made up when there is none yet."""
    try:
        if kept := file.read_text(encoding="ascii").strip():
            return kept
    except FileNotFoundError:
        pass
    private_text(file, made := secrets.token_urlsafe(24).replace("-", "x").replace("_", "y"), mode)
    return made


def erlang_environment(home: Path, epmd_port: int) -> dict[str, str]:
    """What every Erlang process of ours gets: an own cookie, an own port mapper, loopback.

    The cookie is the file in `home`, since one given as an argument can be read by every user of the machine. The
    flags stand in the environment, and not among the node's arguments, because a node that boots starts a short-lived
    second one, which must neither listen to the world nor start a port mapper that nobody ends.
    """
    return {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_INETRC": str(home / "inetrc"),
        "ERL_AFLAGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
    }


def prepare_home(home: Path) -> None:
    """Write what Erlang reads from its HOME: the cookie and the resolver's configuration."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret(home / ".erlang.cookie", 0o400)
    private_text(home / "inetrc", _RESOLVER)


def prepare_node(node: Node, installation: Installation) -> None:
    """Write the node's configuration; its data is left as it is."""
    node.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_text(node.folder / "rabbitmq.conf", _configuration(node))
    private_text(node.folder / "enabled_plugins", "[].\n")
    if _can_start_fast(node, installation):
        _link_core(node.folder / "plugins", installation)


def node_process(node: Node, installation: Installation, home: Path) -> ProcessSpec:
    """How to run the node: in the foreground, ended by SIGTERM."""
    environment = _node_environment(node, installation, erlang_environment(home, node.epmd_port))
    return ProcessSpec(
        name=f"rabbitmq.{node.name}",
        argv=(*_without_foreign_settings(environment), str(installation.server)),
        cwd=node.folder,
        env=environment,
        ready=AmqpPort(LOOPBACK, node.port),
        stage=1,
        start_timeout=90.0,
        grace=20.0,
    )


def _configuration(node: Node) -> str:
    return (
        f"listeners.tcp.1 = {LOOPBACK}:{node.port}\n"
        f"default_user = {USER}\n"
        f"default_pass = {node.password}\n"
        f"loopback_users.{USER} = true\n"
        "log.file = node.log\n"
        "log.console = true\n"
        "log.console.level = error\n"
    )


def _node_environment(node: Node, installation: Installation, erlang: dict[str, str]) -> dict[str, str]:
    folder = node.folder
    environment = {
        **erlang,
        "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
        "RABBITMQ_NODENAME": node.erlang_name,
        "RABBITMQ_DIST_PORT": str(node.distribution_port),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_LOG": "-color",  # who shows our output decides on its colours
        "RABBITMQ_CONF_ENV_FILE": os.devnull,  # else the machine's /etc/rabbitmq/rabbitmq-env.conf is read
        # The start script then replaces itself by the node, so that the process we know is the one that runs; that
        # branch of the script leaves out the flag which keeps Ctrl-C from the node, so it is given here.
        "detached": "true",
        "RABBITMQ_SERVER_START_ARGS": "+B i",
    }
    if _can_start_fast(node, installation):
        environment["RABBITMQ_PLUGINS_DIR"] = str(folder / "plugins")
        environment["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = _code_paths(installation)
    search = os.environ.get("PATH", os.defpath)
    if str(installation.erl.parent) not in search.split(os.pathsep):
        environment["PATH"] = f"{installation.erl.parent}{os.pathsep}{search}"
    return environment


def _without_foreign_settings(environment: dict[str, str]) -> tuple[str, ...]:
    """A prefix that drops what the user's environment holds for another node, or nothing when there is nothing."""
    foreign = sorted(
        name
        for name in os.environ
        if (name.startswith(("RABBITMQ_", "ERL_")) or name == "NOTIFY_SOCKET") and name not in environment
    )
    return ("/usr/bin/env", *(part for name in foreign for part in ("-u", name))) if foreign else ()


def _can_start_fast(node: Node, installation: Installation) -> bool:
    """Whether the short way to start was tried on this line of releases, and the folders allow it.

    A plugins path is split at colons, and arguments in the environment at spaces.
    """
    tried = installation.version[0] == 3 and (installation.plugins / _core(installation)).is_dir()
    return tried and ":" not in str(node.folder) and " " not in str(installation.home)


def _core(installation: Installation) -> str:
    return next(entry.name for entry in installation.plugins.glob("rabbit-[0-9]*"))


def _link_core(plugins: Path, installation: Installation) -> None:
    """A plugins folder with the core alone (it holds the configuration's schema).

    A node looks into every folder of the release for each module that it loads: some fifty thousand failed
    look-ups, half of the time that it needs to start.
    """
    plugins.mkdir(mode=0o700, exist_ok=True)
    link = plugins / _core(installation)
    if link.resolve() == (installation.plugins / link.name).resolve():
        return
    for stale in plugins.iterdir():
        stale.unlink()
    link.symlink_to(installation.plugins / link.name)


def _code_paths(installation: Installation) -> str:
    """`-pa` for each application that the core needs. The last one given is looked at first: the core itself."""
    needed = [
        entry / "ebin"
        for entry in sorted(installation.plugins.iterdir())
        if entry.is_dir() and (not entry.name.startswith("rabbitmq_") or entry.name.startswith("rabbitmq_prelaunch"))
    ]
    needed.sort(key=lambda ebin: ebin.parent.name == _core(installation))
    return " ".join(f"-pa {ebin}" for ebin in needed)
