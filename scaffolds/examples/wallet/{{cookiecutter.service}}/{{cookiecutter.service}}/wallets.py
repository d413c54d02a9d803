"""Wallets and what was put into them. Money is in cents, and never a float."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from {{ cookiecutter.service }}.storage import transaction

_WALLETS = """
CREATE TABLE IF NOT EXISTS wallets (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL UNIQUE,
    currency TEXT NOT NULL
)
"""
_DEPOSITS = """
CREATE TABLE IF NOT EXISTS deposits (
    reference TEXT PRIMARY KEY,
    wallet_id TEXT NOT NULL REFERENCES wallets (id),
    cents INTEGER NOT NULL
)
"""


class UnknownWallet(LookupError):
    """There is no wallet with this id."""


class CurrencyMismatch(ValueError):
    """The owner's wallet is in another currency."""


def open_for(owner: str, currency: str) -> dict[str, Any]:
    """The wallet of the owner, who has one at most."""
    if not owner.strip() or len(currency) != 3 or not currency.isupper():
        raise ValueError("a wallet needs an owner, and a currency of three capital letters")
    with transaction(_WALLETS) as database:
        database.execute(
            "INSERT INTO wallets (id, owner, currency) VALUES (?, ?, ?) ON CONFLICT (owner) DO NOTHING",
            (str(uuid4()), owner, currency),
        )
        row = database.execute("SELECT id, currency FROM wallets WHERE owner = ?", (owner,)).fetchone()
    if row["currency"] != currency:
        raise CurrencyMismatch(f"the wallet of {owner} is in {row['currency']}, not in {currency}")
    return {"wallet_id": row["id"], "owner": owner, "currency": currency}


def find(wallet_id: str) -> dict[str, Any]:
    """A wallet and the sum of what was put into it."""
    with transaction(_WALLETS) as database:
        database.execute(_DEPOSITS)
        row = database.execute(
            "SELECT owner, currency, (SELECT coalesce(sum(cents), 0) FROM deposits WHERE wallet_id = wallets.id) AS cents "
            "FROM wallets WHERE id = ?",
            (wallet_id,),
        ).fetchone()
    if row is None:
        raise UnknownWallet(f"there is no wallet {wallet_id}")
    return {"wallet_id": wallet_id, **dict(row)}


def deposit(wallet_id: str, cents: int, reference: str) -> None:
    """Put `cents` into the wallet, unless that was done before under the same reference."""
    if cents <= 0 or not reference:
        raise ValueError("a deposit is above zero and has a reference")
    find(wallet_id)
    with transaction(_DEPOSITS) as database:
        database.execute(
            "INSERT INTO deposits (reference, wallet_id, cents) VALUES (?, ?, ?) ON CONFLICT (reference) DO NOTHING",
            (reference, wallet_id, cents),
        )
