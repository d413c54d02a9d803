"""Tasks that are done some time; nobody waits for what they return."""

from __future__ import annotations

from {{ cookiecutter.service }} import wallets
from {{ cookiecutter.service }}.apps import async_app


@async_app.task
def deposit(wallet_id: str, cents: int, reference: str) -> None:
    """Put money into a wallet, once for each reference: a message may be delivered more than once.

    An unknown wallet or an amount that is not above zero fails, and the message goes to the dead-letter queue.
    """
    wallets.deposit(wallet_id, cents, reference)
