"""`python -m mpcli.brokers.embedded`: one broker in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

from mpcli.brokers.embedded.limits import MIB, Limits, raise_open_files
from mpcli.brokers.embedded.server import DEFAULT_PASSWORD, DEFAULT_USER, serve
from mpcli.errors import MpError

# The password is better in the environment than in the arguments, which every user of the machine can list.
_PASSWORD_VARIABLE = "MP_BROKER_PASSWORD"  # noqa: S105 - the name of a variable


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    options = _parse(argv)
    raise_open_files()
    try:
        return asyncio.run(_serve(options))
    except MpError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return int(error.exit_code)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mpcli.brokers.embedded", description="A development broker.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=5672, help="port, 0 for a free one (default: 5672)")
    parser.add_argument("--data", type=Path, help="folder for what survives a restart (default: nothing does)")
    parser.add_argument("--user", default=DEFAULT_USER)
    parser.add_argument(
        "--password",
        default=os.environ.get(_PASSWORD_VARIABLE, DEFAULT_PASSWORD),
        help=f"default: ${_PASSWORD_VARIABLE}, else guest",
    )
    parser.add_argument(
        "--memory", type=int, default=Limits().memory // MIB, help="MiB in messages above which publishers are blocked"
    )
    parser.add_argument("--vhost", action="append", default=[], help="a virtual host beside /, repeatable")
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace) -> int:
    server = await serve(
        options.host,
        options.port,
        data=options.data,
        user=options.user,
        password=options.password,
        limits=Limits(memory=options.memory * MIB),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for vhost in options.vhost:
        server.broker.add_vhost(vhost)
    for note in server.broker.notes:
        sys.stderr.write(f"{note}\n")
    # What is there now stays: no collection need look at it again, and none makes a call wait for that.
    gc.freeze()
    sys.stdout.write(f"ready on {options.host}:{server.port}\n")
    sys.stdout.flush()
    failed = asyncio.ensure_future(server.broker.failed.wait())
    await asyncio.wait((asyncio.ensure_future(stop.wait()), failed), return_when=asyncio.FIRST_COMPLETED)
    await server.close()
    if server.broker.failure is not None:
        raise server.broker.failure
    return 0


if __name__ == "__main__":
    sys.exit(main())
