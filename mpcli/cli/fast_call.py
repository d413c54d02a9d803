"""`mp call` with the words that are usual, read by hand: typer would cost three times what the call itself costs.

What is not wholly plain here (help, an unknown or odd option, a missing value) is handed over to `mpcli.cli.call`, so
there is one place that explains and refuses. Both build the same request and run the same verb; a property test
holds the two parsers against each other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.cli.arguments import CallRequest


def run(argv: list[str]) -> int | None:
    """Run `mp call` with these words (without `call`) and return the exit code; None to hand over to typer."""
    words = parse(argv)
    if words is None:
        return None
    from mpcli.cli.arguments import build_request

    return run_request(build_request(*words))


Words = tuple[str, list[str], str | None, str | None, float, bool, str, bool]


def parse(argv: list[str]) -> Words | None:
    """The arguments of `build_request`, or None when there is anything that needs a real parser."""
    positional: list[str] = []
    options: dict[str, str] = {}
    flags: set[str] = set()
    words = iter(argv)
    for word in words:
        if word in ("--json", "--yes", "--debug"):
            flags.add(word)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            if name not in ("--timeout", "--args", "--kwargs", "--context"):
                return None
            value = value if equals else next(words, "")
            if not value or value.startswith("-"):
                return None
            options[name] = value
        elif word.startswith("-") and word != "-":
            return None
        else:
            positional.append(word)
    timeout = options.get("--timeout", "10")
    if not positional or positional[0] in ("", "-") or not _is_plain_number(timeout):
        return None
    args, kwargs, context = options.get("--args"), options.get("--kwargs"), options.get("--context", "")
    return positional[0], positional[1:], args, kwargs, float(timeout), "--json" in flags, context, "--yes" in flags


def _is_plain_number(text: str) -> bool:
    whole, _, fraction = text.partition(".")
    return text.isascii() and whole.isdigit() and (fraction.isdigit() or fraction == "") and len(text) < 16


def run_request(request: CallRequest) -> int:
    """Call, then show; what is to be known in between goes to stderr."""
    from mpcli.render.asking import asker
    from mpcli.render.call import show_outcome
    from mpcli.verbs.call import call_task

    outcome = call_task(
        request.task,
        request.args,
        request.kwargs,
        timeout=request.timeout,
        context=request.context,
        yes=request.yes,
        ask=asker(),
        note=_note,
    )
    show_outcome(outcome, as_json=request.as_json)
    return 0


def _note(text: str) -> None:
    from mpcli.render.console import print_note

    print_note(f"mp: {text}")
