"""The result of a call: JSON, indented and coloured for a person, one line for a program."""

from __future__ import annotations

import json
import sys

from mpcli.bus.naming import Mode
from mpcli.verbs.call import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.seen import Outcome as Ended
    from mpcli.wire.hops import Hops


def show_outcome(outcome: Outcome, as_json: bool, hops: Hops | None = None) -> None:
    """Print a sync task's result; an async task's id, bare for a person, else a JSON text; or how it ended.

    With `hops` and `as_json` it is one object, of the result or the id and the trace.
    """
    if outcome.ended is not None:
        if hops is not None and as_json:
            show_hops(hops)
        _show_end(outcome.ended, as_json)
        return
    value = outcome.value if outcome.mode is Mode.SYNC else outcome.id
    if hops is not None and as_json:
        key = "result" if outcome.mode is Mode.SYNC else "id"
        value = {key: value, "trace": [hop.as_dict() for hop in hops.found]}
    if as_json or not sys.stdout.isatty():
        # ensure_ascii: whatever the reader's locale, and no control reaches a terminal behind the pipe.
        sys.stdout.write(json.dumps(value, default=as_plain) + "\n")
        sys.stdout.flush()
        return
    from mpcli.render.console import print_json, print_line

    if outcome.mode is Mode.SYNC:
        print_json(json.loads(json.dumps(value, default=as_plain)))
    else:
        print_line(outcome.id)


def show_hops(hops: Hops) -> None:
    """A line for each hop, on stderr: milliseconds since the beginning, and who says so."""
    from mpcli.render.console import print_note
    from mpcli.render.escape import escape_line

    for hop in sorted(hops.found, key=lambda hop: hop.at):
        by = f"  {escape_line(hop.by)}, by its clock" if hop.by else ""
        print_note(f"{hop.what[:20]:<10} {hop.at * 1000:9.1f} ms{by}")
    if hops.silent:
        print_note("no event came from the workers of this task: they send none")


def _show_end(ended: Ended, as_json: bool) -> None:
    from mpcli.render.console import print_line, wants_json
    from mpcli.render.message import dumps, outcome_as_dict, outcome_text

    if wants_json(as_json):
        print_line(dumps(outcome_as_dict(ended)))
    else:
        print_line(f"{outcome_text(ended)}")


def as_plain(value: object) -> object:
    """What Celery's JSON has a type for and plain JSON has not, as text: ISO 8601, digits, hexadecimal, base64."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            import base64

            return base64.b64encode(value).decode()
    # Of the type: an object of the shell has whatever attribute it is asked for.
    isoformat = getattr(type(value), "isoformat", None)
    return isoformat(value) if isoformat else str(value)
