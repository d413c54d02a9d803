"""The service as it really runs: calls through a broker to its workers, and from there to a wallet service."""

import time
from pathlib import Path

import pytest
from mpcli.bus import Caller
from mpcli.errors import RemoteError


def test_register_and_login(caller: Caller, workers_folder: Path) -> None:
    user = caller.call("{{ cookiecutter.service }}.sync.register", {"email": "ada@example.org", "password": "correct horse"})

    assert user["wallet_id"] == f"wallet of {user['user_id']}"
    assert caller.call("{{ cookiecutter.service }}.sync.login", "ada@example.org", "correct horse") == user
    mail = workers_folder / "outbox" / f"welcome-{user['user_id']}.eml"
    deadline = time.monotonic() + 60
    while not mail.exists():
        assert time.monotonic() < deadline, "the welcome mail was never written"
        time.sleep(0.02)


def test_a_refusal_reaches_the_caller_with_its_name(caller: Caller) -> None:
    caller.call("{{ cookiecutter.service }}.sync.register", {"email": "eve@example.org"})

    with pytest.raises(RemoteError, match=r"eve@example\.org is registered already") as caught:
        caller.call("{{ cookiecutter.service }}.sync.register", {"email": "eve@example.org"})
    assert caught.value.type_name.endswith("EmailTaken")
