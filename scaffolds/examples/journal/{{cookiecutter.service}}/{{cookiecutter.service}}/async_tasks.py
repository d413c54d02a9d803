"""Tasks that are done some time; nobody waits for what they return."""

from __future__ import annotations

from typing import Any

from {{ cookiecutter.service }} import journal
from {{ cookiecutter.service }}.apps import async_app


@async_app.task
def record_event(name: str, details: dict[str, Any] | None = None) -> None:
    """Write an event down.

    A message is delivered at least once: when a worker dies between the writing and the acknowledgement, the
    event is written down twice. Where that matters, let the sender choose an id and make it the key.
    """
    journal.append(name, details or {})
