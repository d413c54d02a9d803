"""Tasks that reply to their caller."""

from __future__ import annotations

from typing import Any

from {{ cookiecutter.service }} import wallets
from {{ cookiecutter.service }}.apps import sync_app


# The task's name is the function's, so this module does without Python's own `open`.
@sync_app.task
def open(owner: str, currency: str = "EUR") -> dict[str, Any]:
    """The owner's wallet, opened if there is none yet.

    Safe to repeat: a caller that got no answer asks again and gets the same wallet.
    """
    return wallets.open_for(owner, currency)


@sync_app.task
def balance(wallet_id: str) -> dict[str, Any]:
    """What is in a wallet, in cents. Raises `UnknownWallet`."""
    return wallets.find(wallet_id)
