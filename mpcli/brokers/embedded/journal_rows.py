"""What the journal keeps, as rows of its tables, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpcli.brokers.embedded.message import Entry, Message, address_of
from mpcli.wire.codec import Table, decode_table

if TYPE_CHECKING:
    from mpcli.brokers.embedded.exchange import Binding

_KEY_SEPARATOR = "\n"


class StoredQueue:
    """A queue as it stands in the journal."""

    __slots__ = ("arguments", "auto_delete", "id", "kind", "name", "vhost")

    def __init__(self, row: tuple[int, str, str, str, int, bytes]) -> None:
        self.id, self.vhost, self.name, self.kind, auto_delete, arguments = row
        self.auto_delete = bool(auto_delete)
        self.arguments: Table = decode_table(arguments)[0]


def entry_of(row: tuple[Any, ...]) -> tuple[int, Entry]:
    """The number of the queue and the entry of a message that was written."""
    position, queue, exchange, key, extra_keys, persistent, priority, expires, count, header, body = row
    exchange, key = name_of(exchange), name_of(key)
    message = Message(exchange, key, address_of(exchange, key), header, body)
    message.persistent, message.priority = bool(persistent), priority
    message.extra_keys = tuple(name_of(extra_keys).split(_KEY_SEPARATOR)) if extra_keys else ()
    entry = Entry(message, position, expires, count)
    entry.stored = True
    return queue, entry


def message_row(queue: int, entry: Entry) -> tuple[object, ...]:
    """A message as it is written."""
    message = entry.message
    return (
        entry.position,
        queue,
        stored_name(message.exchange),
        stored_name(message.key),
        stored_name(_KEY_SEPARATOR.join(message.extra_keys)),
        message.persistent,
        message.priority,
        entry.expires,
        entry.count,
        message.header,
        message.body,
    )


def binding_row(vhost: str, source: str, binding: Binding) -> tuple[object, ...]:
    """A binding as it is written."""
    kind, destination, key, arguments = binding.identity
    return vhost, stored_name(source), kind, stored_name(destination), stored_name(key), arguments


def stored_name(name: str) -> str | bytes:
    """A name as it is written."""
    # SQLite's text is UTF-8; a name that is not is kept as bytes.
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape")
    return name


def name_of(stored: str | bytes) -> str:
    """A name as it was."""
    return stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else stored
