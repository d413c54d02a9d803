"""The protocol behind which a local broker is run. It answers two questions, which processes and at which URLs;
how to talk to a broker is not its business, and nobody asks it for its name to decide anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mpcli.bus.naming import Mode
from mpcli.platform.processes import ProcessSpec


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """The processes to run and the AMQP URL of each mode's broker once they are ready."""

    processes: list[ProcessSpec]
    urls: dict[Mode, str]


class BrokerProvider(Protocol):
    """Prepares two brokers, one for each mode, on loopback, with their data below `folder`."""

    def plan(self, folder: Path, ports: dict[Mode, int]) -> BrokerPlan:
        """Prepare folders and configuration and say what to run.

        Raises `BrokerUnavailable`, before anything was started, when this machine cannot run it.
        """
        ...
