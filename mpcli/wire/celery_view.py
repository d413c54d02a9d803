"""A Celery view on a message: task, id, arguments and the rest, of both message protocols, decoded when asked for.

Protocol 2 (Celery 4 and later) has its fields in the headers and `[args, kwargs, embed]` in the body; protocol 1 has a
mapping in the body. Source: Celery's documentation, "Message Protocol". Nothing here can fail on a hostile message:
what cannot be read is None, and `opaque` says why.
"""

from __future__ import annotations

from mpcli.errors import ProtocolError
from mpcli.wire.body import MAX_BODY, Opaque, compression_of, decoded, json_parts, opened
from mpcli.wire.codec import Table, plain
from mpcli.wire.message import Message
from mpcli.wire.properties import Properties

_UNREAD = object()


class CeleryView:
    """What Celery would read from the message. `opaque` is empty when the arguments could be read."""

    __slots__ = ("_body", "_limit", "damaged", "headers", "message", "opaque", "properties")

    def __init__(self, message: Message, limit: int = MAX_BODY) -> None:
        self.message = message
        self._limit = limit
        self._body: object = _UNREAD
        self.opaque = ""
        self.damaged = ""
        try:
            self.properties: Properties = message.properties
            self.headers: Table = message.headers
        except ProtocolError as error:
            self.properties, self.headers = {}, {}
            self.damaged = self.opaque = f"damaged properties: {error.message}"
            self._body = None

    @property
    def protocol(self) -> int:
        """2, 1, or 0 for a message that is not a Celery task."""
        if isinstance(self.headers.get("task"), str):
            return 2
        return 1 if self._is_first() else 0

    def field(self, name: str) -> object:
        """A field of the protocol, from the headers or, in protocol 1, from the body; None when absent."""
        if "task" in self.headers:
            value = self.headers.get(name)
            return value if value is None or isinstance(value, str) else plain(value)
        body = self.body
        return body.get(name) if isinstance(body, dict) else None

    @property
    def task(self) -> str:
        """The task's name; empty when the message names none."""
        name = self.field("task")
        return name if isinstance(name, str) else ""

    @property
    def id(self) -> str:
        """The task's id, or the message's correlation or message id."""
        for value in (self.field("id"), self.properties.get("correlation_id"), self.properties.get("message_id")):
            if isinstance(value, str) and value:
                return value
        return ""

    @property
    def args(self) -> list[object] | None:
        """The positional arguments; None when they cannot be read."""
        value = self._part(0, "args")
        return value if isinstance(value, list) else None

    @property
    def kwargs(self) -> dict[str, object] | None:
        """The keyword arguments; None when they cannot be read."""
        value = self._part(1, "kwargs")
        return value if isinstance(value, dict) else None

    @property
    def embed(self) -> dict[str, object]:
        """What else travels along: callbacks, errbacks, chain, chord."""
        value = self._part(2, "")
        return value if isinstance(value, dict) else {}

    @property
    def body(self) -> object:
        """The decoded body; None, with `opaque` set, when it cannot or must not be decoded."""
        if self._body is _UNREAD:
            try:
                self._body = decoded(self.properties, self.message.body, self._limit)
            except Opaque as reason:
                self._body, self.opaque = None, str(reason)
        return self._body

    def copyable(self) -> tuple[tuple[object, str], tuple[object, str]] | None:
        """`args` and `kwargs`, each with its JSON as it came, where that is one line of ASCII: it can be copied.

        None where it is not, in protocol 1, and where something hangs on the task.
        """
        if self._body is not _UNREAD or self.properties.get("content_type") != "application/json":
            return None
        body = self.message.body
        if len(body) > self._limit or not isinstance(self.headers.get("task"), str) or compression_of(self.properties):
            return None
        if not body.isascii() or b"\n" in body or b"\r" in body or b"\t" in body or b"\x7f" in body:
            return None  # a control may stand between two tokens, where JSON allows white space; DEL also in a string
        parts = json_parts(body.decode("ascii"))
        if parts is None or len(parts) != 3:
            return None
        args, kwargs, (embed, _) = parts
        if not isinstance(args[0], list) or not isinstance(kwargs[0], dict) or not isinstance(embed, dict):
            return None
        self._body = [args[0], kwargs[0], embed]
        return None if any(embed.values()) else (args, kwargs)

    def data(self) -> bytes:
        """The body without its compression, not decoded; the bytes as they came when it cannot be opened."""
        try:
            return opened(self.properties, self.message.body, self._limit)
        except Opaque:
            return self.message.body

    @property
    def retries(self) -> int:
        """How often the task was retried before."""
        value = self.field("retries")
        return value if isinstance(value, int) else 0

    @property
    def steps(self) -> dict[str, int]:
        """How many tasks hang on this one: `chain`, `chord`, `callbacks`, `errbacks`, those that are not empty."""
        embed = self.embed
        return {name: _count(value) for name in _FOLLOWERS if (value := embed.get(name))}

    def repr_of(self, name: str) -> str:
        """`argsrepr` or `kwargsrepr`, the sender's own words on arguments that cannot be read."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""

    def _part(self, index: int, name: str) -> object:
        """A part of the body, by protocol 2's place or by protocol 1's name; no name for the whole mapping."""
        body = self.body
        if isinstance(body, list) and len(body) == 3:
            return body[index]
        if isinstance(body, dict) and self._is_first():
            return body.get(name, _ABSENT.get(name)) if name else body
        return None

    def _is_first(self) -> bool:
        body = self.body
        return isinstance(body, dict) and isinstance(body.get("task"), str) and "id" in body


# Protocol 1 lets a sender leave out what is empty.
_ABSENT: dict[str, object] = {"args": [], "kwargs": {}}
_FOLLOWERS = ("chain", "chord", "callbacks", "errbacks")


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 1
