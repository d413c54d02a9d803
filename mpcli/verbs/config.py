"""Every setting and where it came from."""

from __future__ import annotations

from pathlib import Path

from mpcli.platform.settings import Setting, settings


def config(start: Path, context: str | None = None) -> list[Setting]:
    """The settings as a command in `start` finds them. Raises `ConfigError`."""
    return settings(start, context)
