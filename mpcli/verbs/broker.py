"""One embedded broker in the foreground, without a platform."""

from __future__ import annotations

from pathlib import Path

from mpcli.brokers.embedded.__main__ import main


def run_broker(port: int, data: Path | None, host: str, user: str, memory: int | None) -> int:
    """Serve until SIGTERM or Ctrl-C and return the exit code. Port 0 is any free one, `memory` is in MiB.

    Without `data` nothing survives. The password is MP_BROKER_PASSWORD, or on loopback the broker's own default.
    """
    options = ["--host", host, "--port", str(port), "--user", user]
    if data is not None:
        options += ["--data", str(data)]
    if memory is not None:
        options += ["--memory", str(memory)]
    return main(options)
