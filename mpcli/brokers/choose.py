"""From the name in the configuration or on the command line to the provider that it stands for."""

from __future__ import annotations

from mpcli.brokers.provider import BrokerProvider
from mpcli.errors import ConfigError

PROVIDERS = ("auto", "embedded", "rabbitmq")


def provider(name: str) -> BrokerProvider:
    """The provider called `name`. Raises `ConfigError` for an unknown one.

    `auto` is the embedded broker, on every machine: a RabbitMQ is used when somebody asks for it, not because it
    happens to be installed, so that a platform behaves the same for everyone who works on it.
    """
    if name in ("auto", "embedded"):
        from mpcli.brokers.embedded.provider import EmbeddedProvider

        return EmbeddedProvider()
    if name == "rabbitmq":
        from mpcli.brokers.rabbitmq.provider import RabbitMQProvider

        return RabbitMQProvider()
    raise ConfigError(f"there is no broker provider {name!r}", f"one of {', '.join(PROVIDERS)}")
