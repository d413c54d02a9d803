"""A virtual host: its exchanges, queues and bindings, and the way of a message through them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.exchange import Binding, Exchange, binding_identity
from mpcli.brokers.embedded.message import Message
from mpcli.brokers.embedded.queue import Queue
from mpcli.wire.codec import Table

if TYPE_CHECKING:
    from mpcli.brokers.embedded.broker import Broker
    from mpcli.brokers.embedded.connection import Connection

_PREDECLARED = (
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.topic", "topic"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
)
_MAX_ROUTES = 10_000
Letters = deque[tuple[Message, tuple[Queue, ...]]]


class VHost:
    """Everything that clients of one virtual host share."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.exchanges = {exchange: Exchange(exchange, kind) for exchange, kind in _PREDECLARED}
        self.exchanges["amq.rabbitmq.trace"] = Exchange("amq.rabbitmq.trace", "topic", internal=True)
        self.queues: dict[str, Queue] = {}
        # (exchange, routing key) -> queues, as long as nothing changes.
        self._routes: dict[tuple[str, str], tuple[Queue, ...]] = {}
        # Dead letters on their way, while a message is being delivered.
        self._letters: Letters | None = None

    # -- delivering ------------------------------------------------------------------------------------------------

    def deliver(self, message: Message, queues: tuple[Queue, ...]) -> int:
        """Put a message that was published into each queue. Returns what became of it.

        What dies of it comes after it in every queue, as with RabbitMQ, whose queues are processes of their own.
        """
        if len(queues) == 1:
            return queues[0].publish(message)
        outcome = 0
        with self._letters_behind():
            for queue in queues:
                outcome |= queue.publish(message)
        return outcome

    def deliver_letter(self, letter: Message, queues: tuple[Queue, ...]) -> None:
        """Put a dead letter into each queue, behind what is being delivered."""
        if self._letters is not None:
            self._letters.append((letter, queues))
            return
        with self._letters_behind() as letters:
            letters.append((letter, queues))

    @contextmanager
    def _letters_behind(self) -> Iterator[Letters]:
        # One after the other: a letter may die in a hundred queues in a row.
        letters: Letters = deque()
        self._letters = letters
        try:
            yield letters
            while letters:
                letter, queues = letters.popleft()
                for queue in queues:
                    queue.publish(letter)
        finally:
            self._letters = None

    # -- routing ---------------------------------------------------------------------------------------------------

    def route(self, exchange: Exchange, message: Message) -> tuple[Queue, ...]:
        """The queues that the message reaches, each once."""
        if message.extra_keys:
            return self._reached(exchange, (message.key, *message.extra_keys), message)[0]
        known = self._routes.get((exchange.name, message.key))
        if known is not None:
            return known
        queues, lasting = self._reached(exchange, (message.key,), message)
        if lasting:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[exchange.name, message.key] = queues
        return queues

    def _reached(self, start: Exchange, keys: tuple[str, ...], message: Message) -> tuple[tuple[Queue, ...], bool]:
        """The queues, and whether the next message with these keys will reach the same ones."""
        if not start.name:
            return tuple(dict.fromkeys(self.queues[key] for key in keys if key in self.queues)), False
        queues: dict[Queue, None] = {}
        seen = {start.name}
        waiting = [start]
        lasting = True
        while waiting:
            exchange = waiting.pop()
            is_headers = exchange.kind == "headers"
            lasting = lasting and not is_headers
            for destination in self._destinations(exchange, keys, message.headers() if is_headers else {}):
                if isinstance(destination, Queue):
                    queues[destination] = None
                elif destination.name not in seen:
                    seen.add(destination.name)
                    waiting.append(destination)
        return tuple(queues), lasting

    def _destinations(self, exchange: Exchange, keys: tuple[str, ...], headers: Table) -> list[Queue | Exchange]:
        """Any of the keys will do. The default exchange leads nowhere for who comes to it from another one."""
        found = [destination for key in keys for destination in exchange.match(key, headers)]
        if not found and exchange.alternate is not None:
            alternate = self.exchanges.get(exchange.alternate)
            return [] if alternate is None else [alternate]
        return found

    # -- exchanges -------------------------------------------------------------------------------------------------

    def add_exchange(self, exchange: Exchange) -> None:
        """Declare it."""
        self.exchanges[exchange.name] = exchange
        self._routes.clear()
        if exchange.durable:
            self.broker.journal.save_exchange(self.name, exchange)

    def delete_exchange(self, exchange: Exchange) -> None:
        """With all bindings from it and to it."""
        del self.exchanges[exchange.name]
        self._routes.clear()
        self.broker.journal.delete_exchange(self.name, exchange.name)
        exchange.bindings.clear()
        self._drop_bindings_to(exchange)

    def _drop_bindings_to(self, destination: Queue | Exchange) -> None:
        for exchange in destination.sources:
            doomed = [key for key, binding in exchange.bindings.items() if binding.destination is destination]
            for identity in doomed:
                del exchange.bindings[identity]
            if doomed:
                self._after_unbinding(exchange)

    def _after_unbinding(self, exchange: Exchange) -> None:
        self._routes.clear()
        if exchange.auto_delete and not exchange.bindings and exchange.name in self.exchanges:
            self.delete_exchange(exchange)

    # -- bindings --------------------------------------------------------------------------------------------------

    def bind(self, source: Exchange, destination: Queue | Exchange, key: str, arguments: Table) -> None:
        """Bind; the same binding again changes nothing."""
        binding = Binding(destination, key, arguments)
        if binding.identity in source.bindings:
            return
        source.add(binding)
        self._routes.clear()
        if source.durable and destination.durable:
            self.broker.journal.save_binding(self.name, source.name, binding)

    def unbind(self, source: Exchange, destination: Queue | Exchange, key: str, arguments: Table) -> None:
        """Unbind; what was not bound is none the less unbound."""
        identity = binding_identity(destination, key, arguments)
        binding = source.bindings.pop(identity, None)
        if binding is not None:
            self.broker.journal.delete_binding(self.name, source.name, binding)
            self._after_unbinding(source)

    # -- queues ----------------------------------------------------------------------------------------------------

    def add_queue(
        self,
        name: str,
        kind: str,
        *,
        durable: bool,
        owner: Connection | None = None,
        auto_delete: bool = False,
        arguments: Table,
    ) -> Queue:
        """Declare it."""
        queue = Queue(self, name, kind, durable=durable, owner=owner, auto_delete=auto_delete, arguments=arguments)
        self.queues[name] = queue
        if owner is not None:
            owner.exclusive_queues.add(queue)
        if durable:
            queue.journal_id = self.broker.journal.save_queue(self.name, queue)
        return queue

    def delete_queue(self, queue: Queue) -> int:
        """With its bindings and messages; its consumers are told. Returns how many messages waited."""
        if queue.deleted:
            return 0
        waiting = queue.backlog.count
        del self.queues[queue.name]
        queue.close()
        if queue.journal_id:
            self.broker.journal.delete_queue(self.name, queue)
        if queue.owner is not None:
            queue.owner.exclusive_queues.discard(queue)
        self._drop_bindings_to(queue)
        for consumer in list(queue.consumers):
            consumer.channel.queue_is_gone(consumer)
        return waiting
