"""Declaring the topology of every service from a process of its own, beside the workers that start meanwhile.

kombu takes 0.3 s to import and would stay in the supervisor for as long as the platform is up. As a program,
`python -m mpcli.runner.topology` reads `{"services": [...], "urls": {mode: url}}` from standard input; what went
wrong stands on standard output as JSON. URLs hold passwords and so are no arguments.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerError, MpError
from mpcli.runner.proc import RUN_VARIABLE

# Seconds for one broker to answer all declarations, and for the whole program.
_TIMEOUT = 15.0
_DEADLINE = 45.0


async def declare_apart(services: list[str], urls: dict[Mode, str], run: str) -> None:
    """Declare what the services need. Raises `BrokerError` with the broker's own reason."""
    request = json.dumps({"services": services, "urls": {str(mode): url for mode, url in urls.items()}}).encode()
    process = _program(run)
    try:
        output, errors = await asyncio.to_thread(process.communicate, request, _DEADLINE)
    except subprocess.TimeoutExpired:
        raise BrokerError(f"the topology was not declared within {_DEADLINE:g} s") from None
    finally:
        process.kill()  # which also ends the wait of the thread above, when this one was cancelled
    _raise_told(process.returncode, output, errors)


def _program(run: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mpcli.runner.topology"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, RUN_VARIABLE: run},
    )


def _raise_told(code: int | None, output: bytes, errors: bytes) -> None:
    if code == 0:
        return
    try:
        told = json.loads(output)
    except ValueError:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BrokerError(f"the topology could not be declared: {last or f'exit code {code}'}") from None
    raise BrokerError(told["message"], told["hint"])


def main() -> int:
    """Do what standard input asks for."""
    from mpcli.bus.topology import declare_topology

    request = json.load(sys.stdin)
    try:
        declare_topology(
            request["services"], {Mode(mode): url for mode, url in request["urls"].items()}, timeout=_TIMEOUT
        )
    except MpError as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
