"""Reading a TOML file of settings: every refusal names the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from mpcli.errors import ConfigError

Table = Mapping[str, object]


def read_toml(file: Path) -> dict[str, dict[str, object]]:
    """The file's tables. Raises `ConfigError` when it cannot be read."""
    try:
        return cast("dict[str, dict[str, object]]", tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}", "mend the file; nothing was changed") from error
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error


def refuse_unknown(file: Path, data: Table, known: Mapping[str, set[str]]) -> None:
    """Raise `ConfigError` for a section or a key that nobody would look at: it is a misspelt one."""
    for section, table in data.items():
        if section not in known or not isinstance(table, dict):
            raise ConfigError(f"{file}: unknown section {section!r}", f"known: {', '.join(known)}")
        for key in table:
            if key not in known[section]:
                raise ConfigError(f"{file}: unknown key {section}.{key}", f"known: {', '.join(sorted(known[section]))}")


def text(file: Path, table: Table, key: str, default: str) -> str:
    """A text, or the default. Raises `ConfigError` for anything else."""
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ConfigError(f"{file}: {key} must be text, not {value!r}")
    return value


def port(file: Path, table: Table, key: str) -> int | None:
    """A TCP port, or None when it is not set. Raises `ConfigError`."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ConfigError(f"{file}: broker.{key} must be a port, 1 to 65535, not {value!r}")
    return value
