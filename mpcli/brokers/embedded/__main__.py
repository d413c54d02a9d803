"""`python -m mpcli.brokers.embedded`: one broker in the foreground."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mpcli.brokers.embedded.foreground import PASSWORD_VARIABLE, Options, password_from_environment, run
from mpcli.errors import MpError


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    options = _parse(argv)
    try:
        run(options, _ready, _note)
    except MpError as error:
        sys.stderr.write("\n".join(filter(None, (error.message, error.hint))) + "\n")
        return int(error.exit_code)
    return 0


def _ready(address: str) -> None:
    sys.stdout.write(f"ready on {address}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _parse(argv: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m mpcli.brokers.embedded", description="A development broker.")
    usual = Options()
    parser.add_argument("--host", default=usual.host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5672, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder for what survives a restart (default: nothing does)")
    parser.add_argument("--user", default=usual.user)
    parser.add_argument(
        "--password", default=password_from_environment(), help=f"default: ${PASSWORD_VARIABLE}, else guest"
    )
    parser.add_argument(
        "--memory", type=int, default=usual.memory, help="MiB in messages above which publishers are blocked"
    )
    parser.add_argument(
        "--vhost", action="append", default=[], dest="vhosts", help="a virtual host beside /, repeatable"
    )
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
