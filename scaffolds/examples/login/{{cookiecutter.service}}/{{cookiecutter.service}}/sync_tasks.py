"""Tasks that reply to their caller."""

from __future__ import annotations

from typing import Any

from {{ cookiecutter.service }} import neighbours, passwords, users
from {{ cookiecutter.service }}.apps import sync_app


@sync_app.task
def register(user_obj: dict[str, Any]) -> dict[str, Any]:
    """Register a user: an account, a wallet, a welcome mail. `user_obj` has `email` and, optionally, `password`.

    Raises `EmailTaken`, `InvalidUser`, or `WalletUnavailable`, after which the same call can be made again.
    """
    # The order leaves nothing half done. The e-mail is reserved under a user id first; opening a wallet is
    # idempotent for that id, and so is the mail; the account begins to exist with the last line. Whatever fails
    # before it, the next `register` with this e-mail finds the reservation and does the same steps again.
    email, password = users.check(user_obj)
    user_id = users.reserve(email)
    wallet_id = neighbours.open_wallet(user_id)
    neighbours.send_welcome_email(user_id, email)
    users.complete(user_id, passwords.hashed(password) if password else None, wallet_id)
    return {"user_id": user_id, "email": email, "wallet_id": wallet_id}


@sync_app.task
def login(email: str, password: str) -> dict[str, Any]:
    """The user with this e-mail and password. Raises `InvalidCredentials`, which does not say which one is wrong."""
    user = users.find(email)
    # Checked also when there is no such user: the time of the answer must not tell who is registered.
    if not passwords.matches(password, user["password"] if user else None) or user is None:
        raise users.InvalidCredentials("no user with this e-mail and password")
    return {"user_id": user["id"], "email": user["email"], "wallet_id": user["wallet_id"]}
