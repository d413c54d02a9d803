"""Tasks that reply to their caller."""

from __future__ import annotations

from typing import Any

from {{ cookiecutter.service }} import journal
from {{ cookiecutter.service }}.apps import sync_app


@sync_app.task
def recent_events(limit: int = 10) -> list[dict[str, Any]]:
    """The latest events, the newest first: at most `limit` of them, each with name, details and time (UTC)."""
    return journal.latest(limit)
