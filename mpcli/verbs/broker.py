"""One embedded broker in the foreground, without a platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mpcli.brokers.embedded.foreground import Options, password_from_environment, run


def run_broker(
    port: int,
    data: Path | None,
    host: str,
    user: str,
    memory: int | None,
    ready: Callable[[str], None],
    note: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C. Port 0 is any free one, `memory` is in MiB.

    Without `data` nothing survives. The password is MP_BROKER_PASSWORD, or on loopback the broker's own default.
    `ready` is told the address, `note` what happened to the data of an earlier run. Raises `BrokerUnavailable`.
    """
    options = Options(host=host, port=port, data=data, user=user, password=password_from_environment())
    run(options if memory is None else replace(options, memory=memory), ready, note)
