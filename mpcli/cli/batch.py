"""`mp call --batch`: lines in, results out, and an end that is orderly when it is asked for."""

from __future__ import annotations

import signal
from types import FrameType

from mpcli.cli.arguments import CallOptions
from mpcli.cli.moments import parse_timing
from mpcli.errors import ExitCode, UsageError


def run_batch(task: str, options: CallOptions, given: list[str], *, concurrency: int, journal: str, retry: bool) -> int:
    """Run the batch on stdin and return the highest exit code of its lines. Raises what ended it early."""
    from mpcli.render.asking import asker
    from mpcli.render.batch import show_batch
    from mpcli.render.console import print_note
    from mpcli.verbs.batch import Plan, call_batch
    from mpcli.verbs.batch_lines import BatchInput

    if given:
        raise UsageError(f"{given[0]} and --batch", "in a batch all arguments are on the lines of stdin")
    if options.trace or options.as_code:
        raise UsageError("--trace and --as-code are for one call, not for a batch")
    plan = Plan(
        concurrency=concurrency, timeout=options.timeout, check=options.check, wait=options.wait,
        journal=journal, retry=retry, timing=parse_timing(options.countdown, options.eta, options.expires),
    )  # fmt: skip

    def note(text: str) -> None:
        print_note(f"mp: {text}")

    batch = call_batch(task, BatchInput(), plan, context=options.context, yes=options.yes, ask=asker(), note=note)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second Ctrl-C ends it at once
        if not batch.has_begun:
            raise KeyboardInterrupt
        batch.interrupt()

    signal.signal(signal.SIGINT, interrupt)
    show_batch(batch)
    if batch.summary.fatal is not None:
        raise batch.summary.fatal
    return ExitCode.INTERRUPTED if batch.summary.interrupted else batch.summary.code
