"""The service as it really runs: calls through a broker to its workers."""

import time

import pytest
from mpcli.bus import Caller
from mpcli.errors import RemoteError


def test_open_deposit_balance(caller: Caller) -> None:
    wallet_id = caller.call("{{ cookiecutter.service }}.sync.open", "ada")["wallet_id"]

    caller.send("{{ cookiecutter.service }}.async.deposit", wallet_id, 500, "invoice-1")

    deadline = time.monotonic() + 60
    while caller.call("{{ cookiecutter.service }}.sync.balance", wallet_id)["cents"] != 500:
        assert time.monotonic() < deadline, "the deposit never arrived"
        time.sleep(0.02)


def test_a_refusal_reaches_the_caller_with_its_name(caller: Caller) -> None:
    with pytest.raises(RemoteError, match="no wallet nowhere") as caught:
        caller.call("{{ cookiecutter.service }}.sync.balance", "nowhere")
    assert caught.value.type_name.endswith("UnknownWallet")
