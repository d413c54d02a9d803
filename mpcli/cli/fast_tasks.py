"""`mp tasks` with the words that are usual: without typer it takes a third of the time.

What is not wholly plain here goes to `mpcli.cli.tasks`, as for `mpcli.cli.fast_call`; both do the same.
"""

from __future__ import annotations

from mpcli.cli.plain_words import plain_words

_FLAGS = ("--offline", "--json", "--debug")
_VALUES = ("--context",)
Words = tuple[str, str | None, bool, bool]


def run(argv: list[str]) -> int | None:
    """Run `mp tasks` with these words (without `tasks`) and return the exit code; None to hand over to typer."""
    words = parse(argv)
    if words is None:
        return None
    list_tasks(*words)
    return 0


def parse(argv: list[str]) -> Words | None:
    """The arguments of `list_tasks`, or None when there is anything that needs a real parser."""
    plain = plain_words(argv, _FLAGS, _VALUES)
    if plain is None or len(plain[0]) > 1:
        return None
    arguments, options, flags = plain
    return "".join(arguments), options.get("--context"), "--offline" in flags, "--json" in flags


def list_tasks(pattern: str, context: str | None, offline: bool, as_json: bool) -> None:
    """List the tasks, as JSON also when nobody looks."""
    import gc

    # 10,000 tasks are a million objects, all of them wanted: looking for garbage among them is a tenth of the time.
    gc.disable()
    from pathlib import Path

    from mpcli.render.console import wants_json
    from mpcli.render.tasks import show_tasks
    from mpcli.verbs.tasks import tasks

    show_tasks(tasks(Path.cwd(), pattern, context, offline), wants_json(as_json))
