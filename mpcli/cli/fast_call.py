"""`mp call` with the words that are usual, read by hand: typer would cost three times what the call itself costs.

What is not wholly plain here (help, an unknown or odd option, a missing value) is handed over to `mpcli.cli.call`, so
there is one place that explains and refuses. Both build the same request and run the same verb; a property test
holds the two parsers against each other.
"""

from __future__ import annotations

import sys

from mpcli.cli.plain_words import plain_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from mpcli.cli.arguments import CallOptions, CallRequest
    from mpcli.verbs.call import Outcome
    from mpcli.wire.hops import Hops

_FLAGS = ("--json", "--yes", "--no-check", "--wait", "--trace", "--debug")
_VALUES = ("--timeout", "--args", "--kwargs", "--context", "--countdown", "--eta", "--expires", "--as-code")


def run(argv: list[str]) -> int | None:
    """Run `mp call` with these words (without `call`) and return the exit code; None to hand over to typer."""
    words = parse(argv)
    if words is None:
        return None
    import gc

    # A process of milliseconds, most of them imports: looking for garbage meanwhile is a thirtieth of them.
    gc.disable()
    from mpcli.cli.arguments import build_request

    return run_request(build_request(*words))


Words = tuple[str, list[str], str | None, str | None, "CallOptions"]


def parse(argv: list[str]) -> Words | None:
    """The arguments of `build_request`, or None when there is anything that needs a real parser."""
    plain = plain_words(argv, _FLAGS, _VALUES)
    if plain is None:
        return None
    positional, values, flags = plain
    options = _options(flags, values)
    if options is None or not positional or positional[0] in ("", "-"):
        return None
    return positional[0], positional[1:], values.get("--args"), values.get("--kwargs"), options


def _options(flags: set[str], values: dict[str, str]) -> CallOptions | None:
    from mpcli.cli.arguments import CODE_KINDS, CallOptions

    timeout, as_code = values.get("--timeout", "10"), values.get("--as-code", "")
    if not _is_plain_number(timeout) or (as_code and as_code not in CODE_KINDS):
        return None
    return CallOptions(
        timeout=float(timeout),
        as_json="--json" in flags,
        context=values.get("--context", ""),
        yes="--yes" in flags,
        check="--no-check" not in flags,
        wait="--wait" in flags,
        countdown=values.get("--countdown", ""),
        eta=values.get("--eta", ""),
        expires=values.get("--expires", ""),
        trace="--trace" in flags,
        as_code=as_code,
    )


def _is_plain_number(text: str) -> bool:
    whole, _, fraction = text.partition(".")
    return text.isascii() and whole.isdigit() and (fraction.isdigit() or fraction == "") and len(text) < 16


def run_request(request: CallRequest) -> int:
    """Call, then show; what is to be known in between goes to stderr."""
    options = request.options
    timing = _timing(options)
    if options.as_code:
        return _show_code(request, timing)
    from mpcli.render.call import show_hops, show_outcome

    hops = outcome = None
    if options.trace:
        from mpcli.wire.hops import Hops

        hops = Hops()
    try:
        try:
            outcome = _call(request, timing, hops)
        finally:
            if hops is not None and (outcome is None or not options.as_json):
                show_hops(hops)
        show_outcome(outcome, as_json=options.as_json, hops=hops)
    except KeyboardInterrupt:
        if outcome is None:
            raise
        raise outcome.thrown_away(request.task) from None
    return 0


def _call(request: CallRequest, timing: dict[str, float | datetime], hops: Hops | None) -> Outcome:
    from mpcli.render.asking import asker
    from mpcli.verbs.call import call_task

    options = request.options
    delay = None
    if timing:
        from mpcli.bus.delay import Delay

        delay = Delay.of(**timing)  # type: ignore[arg-type]  # each has the type of its name
    return call_task(
        request.task,
        request.args,
        request.kwargs,
        timeout=options.timeout,
        context=options.context,
        yes=options.yes,
        check=options.check,
        wait=options.wait,
        delay=delay,
        hops=hops,
        ask=asker(),
        note=_note,
        # For a person who waits; a script is told when the time is over.
        meanwhile=_note if sys.stderr.isatty() else None,
    )


def _timing(options: CallOptions) -> dict[str, float | datetime]:
    """When a task may begin and until when, as `Caller.with_options` names it. Raises `UsageError`."""
    if not (options.countdown or options.eta or options.expires):
        return {}
    from mpcli.cli.moments import parse_timing

    return parse_timing(options.countdown, options.eta, options.expires)


def _show_code(request: CallRequest, timing: dict[str, float | datetime]) -> int:
    from mpcli.render.console import print_line
    from mpcli.render.escape import escape
    from mpcli.verbs.as_code import as_code
    from mpcli.verbs.call import DEFAULT_TIMEOUT

    options = request.options
    if timing:
        from mpcli.bus.delay import Delay

        Delay.of(**timing)  # type: ignore[arg-type]  # refused here, and not where the code runs
    given = {"timeout": options.timeout} if options.timeout != DEFAULT_TIMEOUT else {}
    text = as_code(
        options.as_code, request.task, request.args, request.kwargs, {**given, **timing},
        context=options.context, check=options.check,
    )  # fmt: skip
    print_line(escape(text))
    if options.as_code == "curl":
        _note("the edge is not built yet: this is the request that it will take")
    return 0


def _note(text: str) -> None:
    from mpcli.render.console import print_note

    print_note(f"mp: {text}")
