"""The provider `rabbitmq`: a node for each mode and the one port mapper that they need."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from mpcli.brokers.provider import BrokerPlan
from mpcli.brokers.rabbitmq.installation import Installation, find_installation
from mpcli.brokers.rabbitmq.node import (
    LOOPBACK,
    Node,
    erlang_environment,
    node_process,
    prepare_home,
    prepare_node,
    secret,
)
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable
from mpcli.platform.processes import ProcessSpec, TcpPort


class RabbitMQProvider:
    """Private RabbitMQ nodes: own names, ports, cookie, password, data and logs, all on loopback.

    The user `mp` has a password made up once for each platform. The default `guest` would let every user of the
    machine in, since loopback is not only ours.
    """

    def plan(self, folder: Path, ports: dict[Mode, int]) -> BrokerPlan:
        """Prepare a node for each mode in `ports`. Raises `BrokerUnavailable` when RabbitMQ can't be run here."""
        installation = find_installation()
        try:
            return self._prepare(folder.absolute(), ports, installation)
        except OSError as error:
            raise BrokerUnavailable(
                f"cannot prepare RabbitMQ in {folder}: {error.strerror} ({error.filename})",
                "the folder must be yours; it may be deleted while nothing runs, with the brokers' data",
            ) from error

    def _prepare(self, folder: Path, ports: dict[Mode, int], installation: Installation) -> BrokerPlan:
        home = folder / "home"
        prepare_home(home)
        password = secret(folder / "password", 0o600)
        epmd_port, *distribution_ports = _free_ports(1 + len(ports))
        nodes = {
            mode: Node(str(mode), folder / str(mode), port, distribution_port, epmd_port, password)
            for (mode, port), distribution_port in zip(ports.items(), distribution_ports, strict=True)
        }
        for node in nodes.values():
            prepare_node(node, installation)
        return BrokerPlan(
            processes=[
                _port_mapper(folder, home, epmd_port, installation),
                *(node_process(node, installation, home) for node in nodes.values()),
            ],
            urls={mode: node.url for mode, node in nodes.items()},
        )


def _port_mapper(folder: Path, home: Path, port: int, installation: Installation) -> ProcessSpec:
    """Erlang's port mapper as a process like any other: left to start it itself, a node leaves it behind."""
    return ProcessSpec(
        name="rabbitmq.epmd",
        argv=(str(installation.epmd), "-address", LOOPBACK, "-port", str(port)),
        cwd=folder,
        env=erlang_environment(home, port),
        ready=TcpPort(LOOPBACK, port),
        stage=0,
        grace=2.0,
    )


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, below the range from which outgoing connections take theirs."""
    found: list[int] = []
    for port in random.sample(range(20000, 32000), 500):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise BrokerUnavailable("there is no free port between 20000 and 32000 on 127.0.0.1")
