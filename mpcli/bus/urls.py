"""The broker URLs of the platform: where they come from, what they may be, how they are shown."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from mpcli.bus.naming import Mode
from mpcli.errors import ConfigError

VARIABLES = {Mode.SYNC: "MP_SYNC_URL", Mode.ASYNC: "MP_ASYNC_URL"}
# kombu gives `amqp://` to librabbitmq whenever that is importable; naming the driver takes the choice away from it.
_SCHEMES = {"amqp": "pyamqp", "pyamqp": "pyamqp", "librabbitmq": "pyamqp", "amqps": "amqps"}
_warned: set[str] = set()


def broker_url(mode: Mode, url: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """`url`, or else the environment's, as kombu takes it. Raises `ConfigError` when it is missing or not AMQP."""
    variable = VARIABLES[mode]
    text = url or (os.environ if environ is None else environ).get(variable, "")
    if not text:
        raise ConfigError(
            f"no URL for the {mode} broker: {variable} is not set",
            f"`mp up` sets it for what it runs; else {variable}=amqp://user:password@host:5672/vhost",
        )
    return normalise(text, variable)


def normalise(text: str, origin: str = "the broker URL") -> str:
    """The URL, or each of several separated by `;`, with the driver named: `amqp://` becomes `pyamqp://`."""
    return ";".join(_normalise_one(part.strip(), origin) for part in text.split(";") if part.strip())


def _normalise_one(text: str, origin: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(
            f"{origin} is {safe_url(text)!r}: not an AMQP URL", "amqp://user:password@host:5672/vhost, or amqps://"
        )
    try:
        _ = urlsplit(text).port
    except ValueError as error:
        raise ConfigError(f"{origin} is {safe_url(text)!r}: {error}", "amqp://user:password@host:5672/vhost") from None
    if scheme == "librabbitmq" and scheme not in _warned:
        _warned.add(scheme)
        warnings.warn(
            f"{origin}: librabbitmq:// is read as pyamqp://; librabbitmq is not used", RuntimeWarning, stacklevel=4
        )
    return f"{_SCHEMES[scheme]}://{rest}"


def safe_url(text: str) -> str:
    """The URL as it may be shown: without the password."""
    return ";".join(map(_safe_one, text.split(";")))


def _safe_one(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    user, at, host = rest.rpartition("@")
    if not separator or not at:
        return text
    return f"{scheme}://{user.partition(':')[0]}@{host}"


def address(url: str) -> str:
    """Host, port and vhost of one URL, for messages."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    vhost = unquote(parts.path[1:]) or "/"
    place = f"{parts.hostname or 'localhost'}:{port}"
    return place if vhost == "/" else f"{place}, vhost {vhost}"
