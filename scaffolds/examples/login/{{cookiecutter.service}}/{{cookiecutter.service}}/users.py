"""The accounts. One that has no wallet yet is a reservation of its e-mail, and cannot be logged in to."""

from __future__ import annotations

import re
import sqlite3
from typing import Any
from uuid import uuid4

from {{ cookiecutter.service }}.storage import transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password TEXT,
    wallet_id TEXT
)
"""
# What a browser's <input type="email"> takes (https://html.spec.whatwg.org, "valid e-mail address"), and so nothing that
# could break out of a mail's header.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LONGEST_PASSWORD = 1000


class InvalidUser(ValueError):
    """The user object cannot be registered; the text says why."""


class EmailTaken(ValueError):
    """Somebody is registered with this e-mail."""


class InvalidCredentials(PermissionError):
    """No user has this e-mail and password."""


def check(user_obj: dict[str, Any]) -> tuple[str, str | None]:
    """E-mail, in lower case, and password of a user object. Raises `InvalidUser`."""
    if not isinstance(user_obj, dict) or not {"email"} <= set(user_obj) <= {"email", "password"}:
        raise InvalidUser("a user has an email, may have a password, and nothing else")
    email, password = user_obj["email"], user_obj.get("password")
    if not isinstance(email, str) or len(email) > 254 or not _EMAIL.fullmatch(email):
        raise InvalidUser("the email is not an address")
    if password is not None and not (isinstance(password, str) and 0 < len(password) <= _LONGEST_PASSWORD):
        raise InvalidUser(f"the password must be a text of 1 to {_LONGEST_PASSWORD} characters")
    return email.lower(), password


def reserve(email: str) -> str:
    """The user id for this e-mail; the same one until the registration is complete. Raises `EmailTaken`."""
    with transaction(_SCHEMA) as database:
        database.execute(
            "INSERT INTO users (id, email) VALUES (?, ?) ON CONFLICT (email) DO NOTHING", (str(uuid4()), email)
        )
        row = database.execute("SELECT id, wallet_id FROM users WHERE email = ?", (email,)).fetchone()
    if row["wallet_id"] is not None:
        raise EmailTaken(f"{email} is registered already")
    return str(row["id"])


def complete(user_id: str, password_hash: str | None, wallet_id: str) -> None:
    """Turn the reservation into an account. Of two that do so at the same time, one gets `EmailTaken`."""
    with transaction(_SCHEMA) as database:
        changed = database.execute(
            "UPDATE users SET password = ?, wallet_id = ? WHERE id = ? AND wallet_id IS NULL",
            (password_hash, wallet_id, user_id),
        ).rowcount
    if not changed:
        raise EmailTaken("this e-mail was registered a moment ago")


def find(email: str) -> sqlite3.Row | None:
    """The complete account of this e-mail."""
    with transaction(_SCHEMA) as database:
        row: sqlite3.Row | None = database.execute(
            "SELECT * FROM users WHERE email = ? AND wallet_id IS NOT NULL", (email.lower(),)
        ).fetchone()
    return row
