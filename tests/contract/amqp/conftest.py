"""Connections to the broker of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from amqp_client import Client


@pytest.fixture
def connect(broker) -> Iterator[Callable[..., Client]]:
    """Open connections to the broker; they are closed at the end."""
    with ExitStack() as stack:

        def open_one(*channels: int, handshake: bool = True, **options) -> Client:
            client = Client(broker.host, broker.port)
            stack.callback(client.close)
            if handshake:
                user, password = options.pop("user", broker.user), options.pop("password", broker.password)
                client.handshake(user, password, options.pop("vhost", broker.vhost), **options)
                for channel in channels or (1,):
                    client.open(channel)
            return client

        yield open_one


@pytest.fixture
def client(connect) -> Client:
    """A connection with channel 1 open."""
    return connect()
