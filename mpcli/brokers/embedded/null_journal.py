"""What a broker asks of its journal, and the journal of one that keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpcli.errors import BrokerUnavailable

if TYPE_CHECKING:
    from mpcli.brokers.embedded.exchange import Binding, Exchange
    from mpcli.brokers.embedded.message import Entry
    from mpcli.brokers.embedded.queue import Queue


class JournalFailed(BrokerUnavailable):
    """The journal cannot be written. A broker that cannot keep its promises stops."""


class NullJournal:
    """For a broker without a data folder: nothing survives, so nothing is written."""

    pending = False
    on_failure: Callable[[JournalFailed], None]

    def add(self, queue: int, entry: Entry) -> None:
        """A message came into a durable queue."""

    def remove(self, entry: Entry) -> None:
        """A message is done with."""

    def touch(self, entry: Entry, count: int) -> None:
        """A message was handed out or came back: this is its delivery count."""

    def commit(self) -> None:
        """Make everything so far survive."""

    def commit_touched(self) -> None:
        """Make what `touch` said survive."""

    def close(self) -> None:
        """Commit and let go of the file."""

    def save_vhost(self, name: str) -> None:
        """A virtual host was added."""

    def delete_vhost(self, name: str) -> None:
        """A virtual host and all in it are gone."""

    def save_exchange(self, vhost: str, exchange: Exchange) -> None:
        """A durable exchange was declared."""

    def delete_exchange(self, vhost: str, name: str) -> None:
        """An exchange is gone, and its bindings."""

    def save_binding(self, vhost: str, source: str, binding: Binding) -> None:
        """Two durable things were bound."""

    def delete_binding(self, vhost: str, source: str, binding: Binding) -> None:
        """They were unbound."""

    def save_queue(self, vhost: str, queue: Queue) -> int:  # noqa: ARG002 - the names are the interface's
        """A durable queue was declared. Returns its number, 0 when it is not kept."""
        return 0

    def delete_queue(self, vhost: str, queue: Queue) -> None:
        """A queue is gone, and its messages and bindings."""
