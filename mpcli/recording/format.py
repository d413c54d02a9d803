"""The format of a recording: JSON Lines, described in docs/reference/record.md.

A message is stored as it was on the wire: its property bytes in base64, its body as text when it is UTF-8 and in base64
when it is not. There is no decoded copy beside them: it would be a second truth that an editor could change without any
effect, and decoding each message would halve what a recorder keeps up with. `mp record show` makes it readable.
All of a line is ASCII with escapes, so that not even `cat` lets a terminal control through.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from math import isfinite

from mpcli.errors import UsageError
from mpcli.wire.message import Message

FORMAT = "mp-recording"
VERSION = 1

TASK, EVENT, DEAD = "task", "event", "dead"
GAP, DROPPED = "gap", "dropped"
MESSAGE_KINDS = frozenset({TASK, EVENT, DEAD})
BROKERS = frozenset({"sync", "async"})

# The C function behind json.dumps, without its dispatch; pure ASCII, controls and DEL escaped.
_quote = json.encoder.encode_basestring_ascii


class NotARecording(UsageError):
    """The file is none of ours, or of a version that this `mp` does not know."""


class DamagedLine(Exception):
    """A line that is not whole; the reader counts it."""


class Entry:
    """One line: a message, or what the recorder has to say about what is missing.

    `at` is when it was received, in seconds since 1970. `broker` is the recorder's name for where it came from, `sync`
    or `async`. `message` is None unless `kind` is one of `MESSAGE_KINDS`; `fields` holds the rest of the line then.
    """

    __slots__ = ("at", "broker", "fields", "kind", "line", "message")

    def __init__(
        self,
        kind: str,
        at: float,
        broker: str,
        message: Message | None = None,
        fields: dict[str, object] | None = None,
        line: int = 0,
    ) -> None:
        self.kind = kind
        self.at = at
        self.broker = broker
        self.message = message
        self.fields = fields or {}
        self.line = line


def header_line(version: str, at: float) -> bytes:
    """The first line of a file, and the first of each later run that appends to it."""
    return (
        json.dumps({"format": FORMAT, "version": VERSION, "by": f"mp {version}", "at": round(at, 6)}).encode() + b"\n"
    )


def message_start(kind: str, broker: str, exchange: str, routing_key: str) -> str:
    """The part of a line that messages of one route share: made once, used for each."""
    return (
        f'{{"kind": {_quote(kind)}, "broker": {_quote(broker)}, "exchange": {_quote(exchange)}, '
        f'"routing_key": {_quote(routing_key)}, "at": '
    )


def message_line(start: str, at: float, raw_properties: bytes, body: bytes, redelivered: bool = False) -> bytes:
    """The line of one message, with its line end."""
    properties = b2a_base64(raw_properties, newline=False).decode()
    try:
        shown = f'"body": {_quote(body.decode())}'
    except UnicodeDecodeError:
        shown = f'"body64": "{b2a_base64(body, newline=False).decode()}"'
    again = ', "redelivered": true' if redelivered else ""
    return f'{start}{at:.6f}{again}, "properties": "{properties}", {shown}}}\n'.encode()


def encode_entry(entry: Entry) -> bytes:
    """The line of any entry, with its line end."""
    message = entry.message
    if message is None:
        fields = {"kind": entry.kind, "broker": entry.broker, "at": round(entry.at, 6), **entry.fields}
        return json.dumps(fields).encode() + b"\n"
    start = message_start(entry.kind, entry.broker, message.exchange, message.routing_key)
    return message_line(start, entry.at, message.raw_properties, message.body, message.redelivered)


def decode_line(line: bytes, number: int = 0) -> Entry | None:
    """The entry of one line; None for a header line or a kind that a later version may have added.

    Raises `DamagedLine` for one that is torn, `NotARecording` for a header of a newer version.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedLine(str(error)) from error
    if not isinstance(data, dict):
        raise DamagedLine("not an object")
    if "format" in data:
        check_header(data)
        return None
    kind = data.get("kind")
    try:
        if kind in MESSAGE_KINDS:
            return Entry(str(kind), _time(data), _broker(data), _message(data), None, number)
        if kind in (GAP, DROPPED):
            fields = {key: value for key, value in data.items() if key not in ("kind", "broker", "at")}
            return Entry(str(kind), _time(data), _broker(data), None, fields, number)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, Base64Error) as error:
        raise DamagedLine(f"{type(error).__name__}: {error}") from error
    return None


def check_header(data: object) -> None:
    """Raises `NotARecording` unless this is the header of a recording that we can read."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise NotARecording("this is not a recording of mp", "`mp tail --record FILE` makes one")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        raise NotARecording(
            f"a recording of format version {version!r}: this mp reads up to {VERSION}", "a newer mp can read it"
        )


def _message(data: dict[str, object]) -> Message:
    properties = _bytes(data["properties"])
    body = data.get("body")
    content = body.encode() if isinstance(body, str) else _bytes(data["body64"])
    if len(properties) < 2:
        raise ValueError("properties are cut off")
    again = data.get("redelivered") is True
    return Message(_text(data["exchange"]), _text(data["routing_key"]), properties, content, again)


def _time(data: dict[str, object]) -> float:
    at = data["at"]
    if not isinstance(at, (int, float)) or not isfinite(at):
        raise ValueError("no time")
    return float(at)


def _broker(data: dict[str, object]) -> str:
    broker = _text(data["broker"])
    if broker not in BROKERS:
        raise ValueError("no broker of ours")  # it decides where a replay goes
    return broker


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _bytes(value: object) -> bytes:
    return a2b_base64(_text(value), strict_mode=True)
