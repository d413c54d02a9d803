"""A batch: a line of JSON for each result on stdout, a progress bar and a summary on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mpcli.errors import ExitCode, RemoteError
from mpcli.render.call import as_plain
from mpcli.render.console import end_interrupted_line, print_note, rich_console
from mpcli.render.message import outcome_as_dict
from mpcli.verbs.batch_result import Result, Summary
from mpcli.verbs.batch_run import Batch
from mpcli.wire import aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mpcli.verbs.seen import Outcome

_WORDS = {
    ExitCode.USAGE: "wrong",
    ExitCode.TASK_RAISED: "raised",
    ExitCode.NO_REPLY: "without a reply",
    ExitCode.NOT_FOUND: "unknown to a worker",
    ExitCode.BROKER: "broken off with the broker",
    ExitCode.INTERRUPTED: "interrupted",
}


def show_batch(batch: Batch) -> None:
    """Run it to its end, and say how far it came."""
    with _bar(batch.summary) as advance:
        for results in batch:
            # ensure_ascii: whatever the reader's locale, and no control reaches a terminal behind the pipe.
            sys.stdout.write("".join(json.dumps(_as_dict(one), default=as_plain) + "\n" for one in results))
            sys.stdout.flush()
            advance()
    if batch.summary.interrupted and sys.stdout.isatty():  # else the bar stood there, and is gone with its line
        end_interrupted_line()
    for line in _summary(batch.summary):
        print_note(f"mp: {line}")


def _as_dict(result: Result) -> dict[str, object]:
    found: dict[str, object] = {"line": result.line, "ok": result.error is None}
    if result.id:
        found["id"] = result.id
    if result.error is not None:
        found["error"] = _error(result)
    elif result.has_value:
        found["result"] = result.value
    elif result.ended is not None:
        found |= _ended(result.ended)
    if result.seconds is not None:
        found["seconds"] = round(result.seconds, 6)
    return found


def _ended(outcome: Outcome) -> dict[str, object]:
    """As `mp call --wait` alone has it; what is called `seconds` there is the run time, which has another name here."""
    told = outcome_as_dict(outcome)
    found = {key: told[key] for key in ("outcome", "worker", "result") if key in told}
    return found | ({"runtime": told["seconds"]} if "seconds" in told else {})


def _error(result: Result) -> dict[str, object]:
    error = result.error
    if error is None:
        return {}
    found: dict[str, object] = {"code": int(error.exit_code), "message": error.message}
    if result.never_ran:
        found["kind"] = "not called"
    if error.hint:
        found["hint"] = error.hint
    if isinstance(error, RemoteError):
        found |= {"type": error.type_name, "text": error.text, "traceback": error.traceback}
    return found


@contextmanager
def _bar(summary: Summary) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, when the results do not scroll there anyway."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # rich would take stdout for the screen too, and print the results there.
    screen = rich_console(stderr=True)
    progress = Progress(*columns, console=screen, transient=True, redirect_stdout=False)
    aside.start(progress)  # which `with` would do too, and Ctrl-C might go to its thread
    with progress:
        bar = progress.add_task(str(summary.name), total=summary.total)

        def advance() -> None:
            failed = sum(summary.failed.values())
            text = f"{summary.name}{f', {failed} failed' if failed else ''}"
            progress.update(bar, completed=summary.done + summary.skipped + summary.never_ran, description=text)

        yield advance


def _summary(summary: Summary) -> Iterator[str]:
    if summary.fatal is not None and not (summary.done or summary.skipped or summary.never_ran):
        return  # the error says it all
    seconds = monotonic() - summary.began
    whole = f" of {summary.total}" if summary.total is not None else ""
    parts = [f"{summary.ok} ok"]
    parts += [f"{count} {_WORDS.get(code, f'code {code:d}')}" for code, count in sorted(summary.failed.items())]
    if summary.skipped:
        parts.append(f"{summary.skipped} done before")
    if summary.never_ran:
        parts.append(f"{summary.never_ran} not called")
    rate = f", {summary.done / seconds:.0f} a second" if summary.done > seconds else ""
    lines = "line" if summary.done == 1 and not whole else "lines"
    yield f"{summary.done}{whole} {lines}: {', '.join(parts)}; {seconds:.1f} s{rate}"
    if summary.broken_off is not None:
        yield f"stdin was read to line {summary.broken_off} and no further"
    if summary.never_ran or summary.broken_off is not None:
        if summary.journal:
            yield f"the same command with --journal {summary.journal} goes on there"
        else:
            yield "with --journal FILE the same command goes on where it ended"
