"""The process that ends a platform whose supervisor was killed.

It reads a pipe whose only writer is the supervisor: a line for each process that was started. When the pipe ends,
for whatever reason, it ends everything that is left, and what detached itself from its group too. It holds the
platform's lock until it is done, so that a new run never meets the old one's processes.

A program of its own, `python -m mpcli.runner.reaper RUN`, in a session of its own.
"""

from __future__ import annotations

import json
import signal
import sys

from mpcli.platform.state import RunningProcess
from mpcli.runner.leftovers import end_leftovers

# Seconds that a stage may take to end by itself. Short: nobody is there to read its last words.
GRACE = 5.0


def main(argv: list[str]) -> int:
    """Wait for the end of standard input, then end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    known: dict[str, RunningProcess] = {}
    for line in sys.stdin:
        # A supervisor that is killed in the middle of a write leaves half a line: the rest of the list still counts.
        try:
            process = RunningProcess(**json.loads(line))
        except (ValueError, TypeError):
            continue
        known[process.name] = process
    end_leftovers(argv[0], list(known.values()), GRACE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
