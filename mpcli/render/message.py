"""One message, and one outcome, as JSON and as lines for people. Secrets are masked, controls made visible."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite

from mpcli.render.escape import escape, escape_line
from mpcli.render.secrets import masked, masked_args, masked_text
from mpcli.verbs.seen import Outcome, Seen
from mpcli.wire.body import PICKLE_TYPES, pickle_opcodes
from mpcli.wire.codec import Table, Typed, plain
from mpcli.wire.message import type_name
from mpcli.words import iso

# A line for people is cut here; --full shows all up to the second one.
_LINE, _MOST = 240, 20_000
Parameters = Mapping[str, Sequence[str]]


# What arrives together has one time.
_iso_once = lru_cache(64)(iso)


def clock(at: float) -> str:
    """The local time of day, to the millisecond."""
    try:
        return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3]
    except (OverflowError, ValueError, OSError):
        return "--:--:--.---"


# -- JSON ----------------------------------------------------------------------------------------------------------


def dumps(value: object) -> str:
    """One line of valid JSON, whatever the value holds: ASCII, no NaN, bytes as text or base64."""
    try:
        return _encoder.encode(value)
    except (ValueError, TypeError, RecursionError):
        return json.dumps(_tame(value), default=_other)


class _Encoder(json.JSONEncoder):
    def default(self, o: object) -> object:
        return _other(o)


# One for all: json.dumps makes an encoder for each call that is not by default.
_encoder = _Encoder(allow_nan=False)


def _other(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return _bytes_as_text(bytes(value))
    return str(value)


def _bytes_as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + b2a_base64(data, newline=False).decode()


def _tame(value: object, depth: int = 0) -> object:
    if depth > 100:
        return "... nested too deeply"
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _tame(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tame(inner, depth + 1) for inner in value]
    return value


def message_as_dict(seen: Seen, parameters: Parameters, full: bool = False) -> dict[str, object]:
    """What `--json` says of a message; with `full` also its properties, and its headers with their AMQP types."""
    view, message = seen.view, seen.message
    task, field = seen.task, view.field
    args, kwargs = view.args, view.kwargs
    return {
        "kind": "message" if seen.kind == "task" else seen.kind,
        "at": _iso_once(seen.at),
        "broker": seen.broker,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "task": task,
        "id": view.id,
        "root_id": field("root_id"),
        "parent_id": field("parent_id"),
        "args": None if args is None else masked_args(args, parameters.get(task, ())),
        "kwargs": None if kwargs is None else masked(kwargs),
        "retries": view.retries,
        "eta": field("eta"),
        "expires": field("expires"),
        "origin": field("origin"),
        "protocol": view.protocol,
        "content_type": view.properties.get("content_type"),
        "size": len(message.body),
        **_of_some(seen),
        **(_rest(seen) if full else {}),
    }


def _of_some(seen: Seen) -> dict[str, object]:
    """What is said only of a message that cannot be read, that carries others, or that died."""
    view = seen.view
    found: dict[str, object] = {}
    if view.opaque:
        found["opaque"] = view.opaque
        if view.headers:
            found["argsrepr"] = masked_text(view.repr_of("argsrepr"))
            found["kwargsrepr"] = masked_text(view.repr_of("kwargsrepr"))
    if steps := view.steps:
        found["carries"] = steps
    if seen.kind == "dead":
        found["reason"] = death_reason(view.headers)
    return found


def _rest(seen: Seen) -> dict[str, object]:
    view = seen.view
    properties = {name: value for name, value in view.properties.items() if name != "headers"}
    found: dict[str, object] = {
        "properties": masked(properties),
        "headers": {name: _header(name, value) for name, value in view.headers.items()},
        "redelivered": seen.message.redelivered,
    }
    if view.args is None:
        found |= _undecoded(seen)
    return found


def _header(name: str, value: object) -> dict[str, object]:
    shown = masked({name: plain(value)})
    inner = shown[name] if isinstance(shown, dict) else None
    return {"type": type_name(value), "value": masked_text(inner) if isinstance(inner, str) else inner}


def _undecoded(seen: Seen) -> dict[str, object]:
    data = seen.view.data()
    if str(seen.view.properties.get("content_type")).lower() in PICKLE_TYPES:
        return {"opcodes": [masked_text(line) for line in pickle_opcodes(data)]}
    return {"body": masked_text(_bytes_as_text(data[:_MOST]))}


def outcome_as_dict(outcome: Outcome) -> dict[str, object]:
    """What `--json` says of an outcome."""
    found: dict[str, object] = {
        "kind": "outcome",
        "at": iso(outcome.at),
        "broker": outcome.broker,
        "id": outcome.id,
        "task": outcome.task,
        "outcome": outcome.what,
        "worker": outcome.worker,
    }
    if outcome.seconds is not None:
        found["seconds"] = round(outcome.seconds, 6)
    if outcome.waited is not None:
        found["waited"] = round(outcome.waited, 6)
    if outcome.result is not None:
        found["result"] = masked_text(outcome.result)
    if outcome.error:
        found["error"] = masked_text(outcome.error)
    if outcome.traceback:
        found["traceback"] = masked_text(outcome.traceback)
    return found


# -- lines for people ----------------------------------------------------------------------------------------------


def as_call(seen: Seen, parameters: Parameters, most: int = _LINE) -> str:
    """The task and its arguments as Python writes a call: `mplogin.sync.register('a', amount=5)`."""
    view, task = seen.view, seen.task
    args, kwargs = view.args, view.kwargs
    if args is None and kwargs is None:
        words = [masked_text(view.repr_of("argsrepr").strip("()[]").rstrip(","))]
        words += [f"**{text}"] if (text := masked_text(view.repr_of("kwargsrepr"))) not in ("", "{}") else []
        inner = ", ".join(filter(None, words)) or "..."
        reason = f"  [{view.opaque}]" if view.opaque else ""
        return escape_line(_cut(f"{task}({inner})", most) + reason)
    shown = [repr(value) for value in masked_args(args or [], parameters.get(task, ()))]
    named = masked(kwargs or {})
    if isinstance(named, dict):
        shown += [f"{name}={value!r}" for name, value in named.items()]
    return escape_line(_cut(f"{task}({', '.join(shown)})", most))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def marks(seen: Seen) -> str:
    """What is worth a word: retries, eta, expiry, a chain behind it, why it is dead."""
    view = seen.view
    words = [f"retry {view.retries}"] if view.retries else []
    words += [
        f"{name} {_moment(value)}" for name in ("eta", "expires") if (value := view.field(name)) not in (None, "")
    ]
    words += [f"{name} of {count} more" if name == "chain" else f"{name} {count}" for name, count in view.steps.items()]
    if seen.kind == "dead":
        words.insert(0, f"dead letter: {death_reason(view.headers) or 'unknown reason'}")
    if seen.message.redelivered:
        count = plain(view.headers.get("x-delivery-count"))
        words.append(f"redelivered {count} times" if isinstance(count, int) and count > 1 else "redelivered")
    return escape_line(", ".join(words))


def _moment(value: object) -> str:
    """A time in a header, as the clock here shows it; as it stands where it cannot be read.

    Celery means UTC where no zone is named.
    """
    try:
        moment = datetime.fromisoformat(str(value))
        local = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone()
    except (ValueError, OverflowError, OSError):
        return str(value)
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def death_reason(headers: Table) -> str:
    """Why the broker made it a dead letter, from the newest entry of `x-death`."""
    deaths = headers.get("x-death")
    newest = deaths[0] if isinstance(deaths, list) and deaths else None
    reason = newest.get("reason") if isinstance(newest, dict) else headers.get("x-first-death-reason")
    return reason if isinstance(reason, str) else ""


def details(seen: Seen) -> list[str]:
    """Everything else of a message, a line each, for `--full`."""
    view = seen.view
    lines = [f"{name}: {value}" for name, value in view.properties.items() if name != "headers"]
    lines = [masked_text(line) for line in lines]
    for name, value in view.headers.items():
        kind = _header(name, value)
        lines.append(f"header {name}: {_brief(kind['value'])}  ({kind['type']})")
    if view.args is None:
        undecoded = _undecoded(seen)
        opcodes = undecoded.get("opcodes")
        lines += opcodes if isinstance(opcodes, list) else [f"body: {undecoded.get('body')}"]
    return [escape_line(_cut(line, _MOST)) for line in lines]


def _brief(value: object) -> str:
    return repr(value.value) if isinstance(value, Typed) else repr(value)


def outcome_text(outcome: Outcome) -> str:
    """`succeeded in 12 ms`, `failed: ValueError('no such user')`, `started after 3 ms`."""
    text = outcome.what
    if outcome.seconds is not None:
        text += f" in {duration(outcome.seconds)}"
    if outcome.waited is not None:
        text += f" after {duration(outcome.waited)}"
    if outcome.error:
        text += f": {masked_text(outcome.error)}"
    elif outcome.result not in (None, "None"):
        text += f": {masked_text(str(outcome.result))}"
    return escape_line(_cut(text, _LINE))


def duration(seconds: float) -> str:
    """For people: `12 ms`, `3.4 s`."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def block(text: str) -> str:
    """A text of several lines, made safe."""
    return escape(masked_text(text))
