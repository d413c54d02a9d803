"""The tasks, called as plain functions: a decorated task still is one."""

import pytest

from {{ cookiecutter.service }} import async_tasks, sync_tasks
from {{ cookiecutter.service }}.wallets import CurrencyMismatch, UnknownWallet

pytestmark = pytest.mark.usefixtures("data_folder")


def test_an_owner_has_one_wallet_however_often_it_is_opened() -> None:
    first = sync_tasks.open("ada")

    assert first["currency"] == "EUR"
    assert sync_tasks.open("ada") == first
    assert sync_tasks.open("eve")["wallet_id"] != first["wallet_id"]


def test_a_wallet_keeps_its_currency() -> None:
    sync_tasks.open("ada", "EUR")

    with pytest.raises(CurrencyMismatch, match="is in EUR, not in USD"):
        sync_tasks.open("ada", "USD")


def test_a_deposit_counts_once_for_each_reference() -> None:
    wallet_id = sync_tasks.open("ada")["wallet_id"]

    for _ in range(2):
        async_tasks.deposit(wallet_id, 500, "invoice-1")
    async_tasks.deposit(wallet_id, 250, "invoice-2")

    assert sync_tasks.balance(wallet_id) == {"wallet_id": wallet_id, "owner": "ada", "currency": "EUR", "cents": 750}


@pytest.mark.parametrize("cents", [0, -1])
def test_a_deposit_is_above_zero(cents: int) -> None:
    wallet_id = sync_tasks.open("ada")["wallet_id"]

    with pytest.raises(ValueError, match="above zero"):
        async_tasks.deposit(wallet_id, cents, "invoice-1")


def test_an_unknown_wallet_is_named() -> None:
    with pytest.raises(UnknownWallet, match="no wallet nowhere"):
        sync_tasks.balance("nowhere")
    with pytest.raises(UnknownWallet, match="no wallet nowhere"):
        async_tasks.deposit("nowhere", 1, "invoice-1")
