"""The results of the shell."""

from __future__ import annotations

import json
import sys

from mpcli.render.call import as_plain
from mpcli.render.console import print_json, print_line, print_note
from mpcli.render.escape import escape
from mpcli.render.secrets import masked, masked_text


def show_value(value: object, form: str, seconds: float) -> None:
    """JSON for a program; for a person in the form that was chosen, and below it how long it took."""
    if not sys.stdout.isatty():
        sys.stdout.write(json.dumps(value, default=as_plain) + "\n")
        sys.stdout.flush()
        return
    if form == "python" or not isinstance(value, (dict, list, str, int, float, bool)):
        print_line(escape(masked_text(repr(value))))
    else:
        print_json(json.loads(json.dumps(masked(value), default=as_plain)))
    print_note(f"{seconds:.3f} s")
