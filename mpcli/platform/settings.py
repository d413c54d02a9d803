"""Every setting with its value and where that came from: default, file, environment or flag."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mpcli.bus.naming import DEFAULT_PREFIX, Mode
from mpcli.errors import MpError
from mpcli.platform.context_files import user_file
from mpcli.platform.contexts import Context, resolve
from mpcli.platform.layout import CONFIG_FILE, Platform, load_platform
from mpcli.platform.toml_file import read_toml
from mpcli.wire.url import safe_url

DEFAULT, FILE, ENVIRONMENT, FLAG = "default", "file", "environment", "flag"
# Those that no other setting stands for. What is secret (MP_BROKER_PASSWORD) is hidden.
_SHOWN = (
    *("MP_BROKER_PASSWORD", "MP_DEBUG", "MP_EDGE_URL", "MP_SHELL_KEYS", "MP_SYNC_MANAGEMENT", "MP_ASYNC_MANAGEMENT"),
    *("VISUAL", "EDITOR", "NO_COLOR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
)


# What stands in front of the host of an http URL: MP_SYNC_MANAGEMENT may hold it.
_CREDENTIALS = re.compile(r"(\w+://)[^/@\s]*@")


class Setting:
    """A value as it may be shown: URLs without their password. `where` names the file, variable or flag."""

    __slots__ = ("name", "source", "value", "where")

    def __init__(self, name: str, value: str, source: str, where: str = "") -> None:
        self.name = name
        self.value = value
        self.source = source
        self.where = where

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {field: getattr(self, field) for field in self.__slots__}


def settings(start: Path, context: str | None = None) -> list[Setting]:
    """All settings as a command run in `start` would find them. Raises `ConfigError`."""
    around = resolve(start, context)
    found = [*_platform(Path(around.root))] if around.root else []
    found += _context(around)
    found.append(_prefix(around))
    file = user_file()
    found.append(
        Setting("user configuration", str(file) if file.is_file() else "", FILE if file.is_file() else DEFAULT)
    )
    found += [
        Setting(name, _hidden(name, value), ENVIRONMENT, name) for name in _SHOWN if (value := os.environ.get(name))
    ]
    return found


def _hidden(name: str, value: str) -> str:
    """A variable's value without a password."""
    if name.endswith("PASSWORD"):
        return "***"
    return _CREDENTIALS.sub(r"\1***@", value)


def _platform(root: Path) -> list[Setting]:
    platform = load_platform(root)
    file = root / CONFIG_FILE
    written = read_toml(file)
    return [
        Setting(name, value, FILE, str(file)) if key in written.get(section, {}) else Setting(name, value, DEFAULT)
        for name, value in _values(platform).items()
        for section, _, key in [name.partition(".")]
    ]


def _values(platform: Platform) -> dict[str, str]:
    ports = {f"broker.{mode}_port": str(platform.ports[mode] or "a free one") for mode in Mode}
    urls = {f"broker.{mode}_url": safe_url(url) if (url := platform.urls.get(mode)) else "" for mode in Mode}
    return {"platform.name": platform.name, "broker.provider": platform.broker, **ports, **urls}


def _context(around: Context) -> list[Setting]:
    source = {"flag": FLAG, "default": DEFAULT, "MP_CONTEXT": ENVIRONMENT}.get(around.chosen_by, FILE)
    where = {"flag": "--context", "default": ""}.get(around.chosen_by, around.chosen_by)
    defined, file = (FILE, str(around.file)) if around.file else (DEFAULT, "")
    found = [
        Setting("context", around.name, source, where),
        Setting("context.safety", around.safety, defined, file),
        Setting("context.colour", around.colour, defined if around.colour else DEFAULT, file),
    ]
    found += [Setting(f"context.tls.{key}", value, FILE, file) for key, value in around.tls.items()]
    return found + [_url(around, mode) for mode in Mode]


def _url(around: Context, mode: Mode) -> Setting:
    name = f"{mode}_url"
    try:
        endpoint = around.find(mode)
    except MpError as error:
        return Setting(name, f"({error.message})", FILE, str(around.file or ""))
    if endpoint is None:
        return Setting(name, "", DEFAULT, "nothing runs here" if around.file is None else str(around.file))
    if endpoint.origin.startswith("MP_"):
        return Setting(name, safe_url(endpoint.url), ENVIRONMENT, endpoint.origin)
    return Setting(name, safe_url(endpoint.url), FILE, str(around.file) if around.file else endpoint.origin)


def _prefix(around: Context) -> Setting:
    if os.environ.get("MP_PREFIX"):
        return Setting("platform.prefix", around.prefix, ENVIRONMENT, "MP_PREFIX")
    if around.prefix == DEFAULT_PREFIX:
        return Setting("platform.prefix", around.prefix, DEFAULT)
    return Setting("platform.prefix", around.prefix, FILE, os.path.join(around.root, CONFIG_FILE))
