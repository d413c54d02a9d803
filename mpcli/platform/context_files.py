"""The `[context.NAME]` tables of a platform's `mp.toml` and of the user's own configuration file."""

from __future__ import annotations

import os
from pathlib import Path

from mpcli.errors import ConfigError
from mpcli.platform.expansion import add_options
from mpcli.platform.root import user_folder
from mpcli.platform.toml_file import Table, read_toml, refuse_unknown

LOCAL = "local"
SAFETIES = ("free", "confirm", "readonly")
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
# Our key, and RabbitMQ's name of the URL option that it becomes (https://www.rabbitmq.com/uri-query-parameters.html).
TLS_KEYS = {
    "ca": "cacertfile",
    "certificate": "certfile",
    "key": "keyfile",
    "server_name": "server_name_indication",
    "verify": "verify",
}
_FILES = ("ca", "certificate", "key")
_KEYS = {"sync_url", "async_url", "sync_management", "async_management", "safety", "colour", "tls"}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


class ContextTable:
    """A context as a file states it: URL templates with their variables unexpanded, and what guards it."""

    __slots__ = ("colour", "file", "management", "name", "safety", "tls", "urls")

    def __init__(
        self,
        name: str,
        file: Path,
        urls: dict[str, str],
        safety: str,
        colour: str,
        tls: dict[str, str],
        management: dict[str, str],
    ) -> None:
        self.name = name
        self.file = file
        self.urls = urls
        self.safety = safety
        self.colour = colour
        self.tls = tls
        # By mode: the address of RabbitMQ's management API, or `off`; absent where it is at the usual port or nowhere.
        self.management = management


def user_file() -> Path:
    """The user's configuration, by the XDG base directory specification; it need not exist."""
    return Path(user_folder("XDG_CONFIG_HOME", ".config")) / "config.toml"


def user_contexts() -> dict[str, ContextTable]:
    """The contexts of the user's configuration. Raises `ConfigError`."""
    file = user_file()
    if not file.is_file():
        return {}
    data = read_toml(file)
    contexts = read_contexts(file, data.pop("context", {}))
    refuse_unknown(file, data, {"context": set()})
    return contexts


def read_contexts(file: Path, tables: object) -> dict[str, ContextTable]:
    """The contexts under `[context]` of `file`. Raises `ConfigError` naming file, context and key."""
    if not isinstance(tables, dict):
        raise ConfigError(f"{file}: context must hold tables", "for example [context.staging]")
    return {name: _context(file, name, table) for name, table in tables.items()}


def _context(file: Path, name: str, table: object) -> ContextTable:
    where = f"{file}: context.{name}"
    if name == LOCAL:
        raise ConfigError(
            f"{where} is what `mp up` runs", "for brokers of somebody else set broker.sync_url, or choose another name"
        )
    if not name or not set(name) <= _NAME or not isinstance(table, dict):
        raise ConfigError(f"{where} is not a context", "a table named with lower-case letters, digits, - and _")
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{file}: unknown key context.{name}.{key}", f"known: {', '.join(sorted(_KEYS))}")
    urls = {
        mode: _hosts(where, f"{mode}_url", table[f"{mode}_url"]) for mode in ("sync", "async") if f"{mode}_url" in table
    }
    if not urls:
        raise ConfigError(f"{where} has no sync_url and no async_url", 'sync_url = "amqps://mp:$PASSWORD@host/vhost"')
    return ContextTable(
        name=name,
        file=file,
        urls=urls,
        safety=_one_of(where, table, "safety", SAFETIES, "free"),
        colour=_one_of(where, table, "colour", COLOURS, ""),
        tls=_tls(where, table.get("tls", {})),
        management={
            mode: _management(where, key, table[key])
            for mode in ("sync", "async")
            if (key := f"{mode}_management") in table
        },
    )


def _management(where: str, key: str, value: object) -> str:
    if isinstance(value, str) and (value == "off" or value.startswith(("http://", "https://"))):
        return value
    raise ConfigError(f"{where}.{key} is not the address of a management API", '"http://host:15672", or "off"')


def _hosts(where: str, key: str, value: object) -> str:
    """Several hosts, tried in turn, are a list; joined as kombu has it."""
    listed = value if isinstance(value, list) else [value]
    parts = [part for part in listed if isinstance(part, str) and part]
    if not parts or len(parts) < len(listed):
        raise ConfigError(f"{where}.{key} must be a URL or a list of them", "amqps://mp:$PASSWORD@host:5671/vhost")
    return ";".join(parts)


def _one_of(where: str, table: Table, key: str, known: tuple[str, ...], default: str) -> str:
    value = table.get(key, default)
    if value != default and value not in known:
        raise ConfigError(f"{where}.{key} is {value!r}", f"one of {', '.join(known)}")
    return str(value)


def _tls(where: str, table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}.tls must be a table", f"with {', '.join(TLS_KEYS)}")
    options = {}
    for key, value in table.items():
        if key not in TLS_KEYS:
            raise ConfigError(f"{where}.tls has an unknown key {key}", f"known: {', '.join(TLS_KEYS)}")
        if not isinstance(value, bool if key == "verify" else str):
            raise ConfigError(
                f"{where}.tls.{key} is {value!r}", "true or false" if key == "verify" else "it must be text"
            )
        options[key] = ("verify_peer" if value else "verify_none") if key == "verify" else str(value)
    return options


def with_tls(urls: str, tls: dict[str, str], where: str) -> str:
    """The expanded URLs with the TLS options in their query, which both of our clients and RabbitMQ's tools read.

    Raises `ConfigError` for a URL that is not encrypted: options that have no effect must not look as if they had.
    """
    if tls and not urls.startswith(("amqps://", "pyamqps://")):
        raise ConfigError(f"{where} has TLS options and a URL without TLS", "begin the URL with amqps://")
    return add_options(urls, {TLS_KEYS[key]: value for key, value in tls.items()}) if tls else urls


def tls_files(table: ContextTable) -> dict[str, str]:
    """The TLS options with file names made absolute: they are meant relative to the file that names them."""
    return {
        key: os.path.join(table.file.parent, os.path.expanduser(value)) if key in _FILES else value
        for key, value in table.tls.items()
    }
