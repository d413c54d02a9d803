"""One embedded broker in the foreground, without a platform."""

from __future__ import annotations

from pathlib import Path

from mpcli.brokers.embedded.__main__ import main


def run_broker(port: int, data: Path | None) -> int:
    """Serve on loopback until SIGTERM or Ctrl-C and return the exit code. Port 0 is any free one.

    Without `data` nothing survives. The user and the password are the broker's own defaults, or MP_BROKER_PASSWORD.
    """
    return main(["--port", str(port), *(("--data", str(data)) if data else ())])
