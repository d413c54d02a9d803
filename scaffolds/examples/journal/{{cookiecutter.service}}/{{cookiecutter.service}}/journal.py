"""Events, in the order in which they were written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from {{ cookiecutter.service }}.storage import transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    details TEXT NOT NULL,
    recorded_at TEXT NOT NULL
)
"""


def append(name: str, details: dict[str, Any]) -> None:
    """Add an event. Raises `ValueError` for one without a name."""
    if not name.strip():
        raise ValueError("an event needs a name")
    with transaction(_SCHEMA) as database:
        database.execute(
            "INSERT INTO events (name, details, recorded_at) VALUES (?, ?, ?)",
            (name, json.dumps(details), datetime.now(UTC).isoformat()),
        )


def latest(limit: int) -> list[dict[str, Any]]:
    """At most `limit` events, the newest first."""
    with transaction(_SCHEMA) as database:
        rows = database.execute("SELECT * FROM events ORDER BY number DESC LIMIT ?", (max(limit, 0),)).fetchall()
    return [
        {"name": row["name"], "details": json.loads(row["details"]), "recorded_at": row["recorded_at"]} for row in rows
    ]
