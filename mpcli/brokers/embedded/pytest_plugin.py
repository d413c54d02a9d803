"""Fixtures for whoever tests a service: an AMQP broker inside the pytest process, fresh for each test.

pytest loads this module in every run of an environment that holds mpcli, so it imports nothing that the fixtures may
never need.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mpcli.brokers.embedded.devbroker import DevBroker

__all__ = ["MpBroker", "mp_broker", "mp_broker_server"]


@dataclass(frozen=True)
class MpBroker:
    """The two brokers of a platform as one test sees them: two virtual hosts that were empty when it began."""

    server: DevBroker
    sync_vhost: str
    async_vhost: str

    @property
    def url(self) -> str:
        """For a test that needs one broker: the sync one."""
        return self.sync_url

    @property
    def sync_url(self) -> str:
        """What MP_SYNC_URL is in production."""
        return self.server.url_of(self.sync_vhost)

    @property
    def async_url(self) -> str:
        """What MP_ASYNC_URL is in production."""
        return self.server.url_of(self.async_vhost)

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which a service learns where its brokers are, for its workers or for `monkeypatch`."""
        return {"MP_SYNC_URL": self.sync_url, "MP_ASYNC_URL": self.async_url}

    def queues(self) -> dict[str, int]:
        """How many messages each queue of both virtual hosts holds, those out for delivery included."""
        return self.server.queues(self.sync_vhost) | self.server.queues(self.async_vhost)

    def close_connections(self) -> None:
        """Break the test's connections to both virtual hosts, as an operator would (320)."""
        for vhost in (self.sync_vhost, self.async_vhost):
            self.server.close_connections(vhost)


@pytest.fixture(scope="session")
def mp_broker_server() -> Iterator[DevBroker]:
    """The embedded broker of this test run, with its virtual host `/`: for fixtures that live as long as the run."""
    from mpcli.brokers.embedded.devbroker import DevBroker

    with DevBroker() as server:
        yield server


@pytest.fixture
def mp_broker(mp_broker_server: DevBroker) -> Iterator[MpBroker]:
    """A sync and an async AMQP broker, empty, for this test alone: `.url`, `.sync_url`, `.async_url`, `.queues()`."""
    name = uuid.uuid4().hex[:12]
    broker = MpBroker(mp_broker_server, f"sync-{name}", f"async-{name}")
    for vhost in (broker.sync_vhost, broker.async_vhost):
        mp_broker_server.add_vhost(vhost)
    yield broker
    for vhost in (broker.sync_vhost, broker.async_vhost):
        mp_broker_server.delete_vhost(vhost)
