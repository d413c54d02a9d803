"""`mp call` with the words that are usual, read by hand: typer would cost three times what the call itself costs.

What is not wholly plain here (help, an unknown or odd option, a missing value) is handed over to `mpcli.cli.call`, so
there is one place that explains and refuses. Both build the same request and run the same verb; a property test
holds the two parsers against each other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.cli.arguments import CallOptions, CallRequest

_FLAGS = ("--json", "--yes", "--no-check", "--wait", "--debug")
_VALUES = ("--timeout", "--args", "--kwargs", "--context")


def run(argv: list[str]) -> int | None:
    """Run `mp call` with these words (without `call`) and return the exit code; None to hand over to typer."""
    words = parse(argv)
    if words is None:
        return None
    from mpcli.cli.arguments import build_request

    return run_request(build_request(*words))


Words = tuple[str, list[str], str | None, str | None, "CallOptions"]


def parse(argv: list[str]) -> Words | None:
    """The arguments of `build_request`, or None when there is anything that needs a real parser."""
    positional: list[str] = []
    values: dict[str, str] = {}
    flags: set[str] = set()
    words = iter(argv)
    for word in words:
        if word in _FLAGS:
            flags.add(word)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            if name not in _VALUES:
                return None
            value = value if equals else next(words, "")
            if not value or value.startswith("-"):
                return None
            values[name] = value
        elif word.startswith("-") and word != "-":
            return None
        else:
            positional.append(word)
    options = _options(flags, values)
    if options is None or not positional or positional[0] in ("", "-"):
        return None
    return positional[0], positional[1:], values.get("--args"), values.get("--kwargs"), options


def _options(flags: set[str], values: dict[str, str]) -> CallOptions | None:
    from mpcli.cli.arguments import CallOptions

    timeout = values.get("--timeout", "10")
    if not _is_plain_number(timeout):
        return None
    return CallOptions(
        timeout=float(timeout),
        as_json="--json" in flags,
        context=values.get("--context", ""),
        yes="--yes" in flags,
        check="--no-check" not in flags,
        wait="--wait" in flags,
    )


def _is_plain_number(text: str) -> bool:
    whole, _, fraction = text.partition(".")
    return text.isascii() and whole.isdigit() and (fraction.isdigit() or fraction == "") and len(text) < 16


def run_request(request: CallRequest) -> int:
    """Call, then show; what is to be known in between goes to stderr."""
    from mpcli.render.asking import asker
    from mpcli.render.call import show_outcome
    from mpcli.verbs.call import call_task

    options = request.options
    outcome = call_task(
        request.task,
        request.args,
        request.kwargs,
        timeout=options.timeout,
        context=options.context,
        yes=options.yes,
        check=options.check,
        wait=options.wait,
        ask=asker(),
        note=_note,
    )
    show_outcome(outcome, as_json=options.as_json)
    return 0


def _note(text: str) -> None:
    from mpcli.render.console import print_note

    print_note(f"mp: {text}")
