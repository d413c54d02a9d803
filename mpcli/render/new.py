"""What `mp new` made."""

from __future__ import annotations

import sys

from mpcli.render.console import print_json, print_line, print_note, wants_colour
from mpcli.render.escape import escape_line
from mpcli.verbs.new import Created


def show_created(created: Created, as_json: bool) -> None:
    """The files, then the commands to go on with and the one to undo it."""
    for note in created.notes:
        print_note(note)
    if as_json:
        print_json(created.as_dict())
        return
    bold, dim, off = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if wants_colour(sys.stdout.isatty()) else ("", "", "")
    verb = "would make" if created.dry_run else "made"
    print_line(f"{verb} {created.kind} {bold}{created.name}{off} in {escape_line(str(created.root))}")
    for file in created.files:
        print_line(f"  {file}")
    if created.dry_run:
        print_line(f"{dim}nothing was written{off}")
        return
    print_line(f"\n{dim}next{off}")
    for command in created.next:
        print_line(f"  {escape_line(command)}")
    print_line(f"{dim}undo{off}\n  {escape_line(created.undo)}")
