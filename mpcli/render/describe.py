"""All of one task, a fact on each line, with its origin."""

from __future__ import annotations

import os
import time

from mpcli.catalog.signature import signature
from mpcli.render.console import print_json, print_line, wants_colour
from mpcli.render.escape import escape, escape_line
from mpcli.verbs.describe import Description
from mpcli.words import counted


def show_description(found: Description, as_json: bool) -> None:
    """For a person, or one JSON object."""
    if as_json:
        print_json(found.as_dict())
        return
    import sys

    dim, off = ("\x1b[2m", "\x1b[0m") if wants_colour(sys.stdout.isatty()) else ("", "")
    task = found.task
    shown = "(signature unknown)" if task.parameters is None else signature(task.parameters, task.returns)
    print_line(escape_line(f"{task.name}{shown}"))
    if task.doc:
        print_line(escape("\n" + "\n".join(f"    {line}".rstrip() for line in task.doc.splitlines())))
    print_line("")
    for label, value, field in _facts(found):
        origin = _origin(task.origins.get(field, ""), found.seen_at)
        print_line(f"{label:<10}{escape_line(value)}{dim}{origin}{off}")
    for sentence in task.disagreements:
        print_line(f"note      {escape_line(sentence)}")


def _facts(found: Description) -> list[tuple[str, str, str]]:
    task = found.task
    facts = []
    if task.parameters is not None:
        facts.append(("signature", "as above", "parameters"))
    if task.file:
        facts.append(("where", f"{os.path.relpath(task.file)}:{task.line}", "file"))
    for name, value in task.limits.items():
        facts.append(("limit", f"{name} {value}", "limits"))
    if task.workers is not None:
        facts.append(("workers", ", ".join(task.workers) or "none", "workers"))
    facts.append(("queue", f"{found.queue}{_queue(found)}", ""))
    return facts


def _queue(found: Description) -> str:
    if found.waiting is None:
        return f" (the broker of {found.context} was not asked or does not answer)"
    if found.waiting < 0:
        return " does not exist: no worker was ever started"
    return f", {found.waiting} waiting, {counted(found.consumers or 0, 'consumer')}"


def _origin(origin: str, seen_at: float | None) -> str:
    if origin == "cache" and seen_at is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(seen_at))
        return f"   (from the workers, {when})"
    return f"   ({origin})" if origin else ""
