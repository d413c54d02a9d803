"""The tasks, called as plain functions: a decorated task still is one. The neighbours are stood in for."""

import socketserver
import threading
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.service }} import neighbours, users
from {{ cookiecutter.service }}.async_tasks import send_welcome_email
from {{ cookiecutter.service }}.neighbours import WalletUnavailable
from {{ cookiecutter.service }}.sync_tasks import login, register

ADA = {"email": "ada@example.org", "password": "correct horse"}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> list[str]:
    """A wallet for whoever asks, mail done at once, and the list of owners who asked for a wallet."""
    owners: list[str] = []

    def open_wallet(user_id: str) -> str:
        owners.append(user_id)
        return f"wallet of {user_id}"

    monkeypatch.setattr(neighbours, "open_wallet", open_wallet)
    monkeypatch.setattr(neighbours, "send_welcome_email", send_welcome_email)
    return owners


def test_whoever_registers_can_log_in() -> None:
    user = register(ADA)

    assert user == {"user_id": user["user_id"], "email": ADA["email"], "wallet_id": f"wallet of {user['user_id']}"}
    assert login("Ada@Example.org", "correct horse") == user


def test_the_password_is_stored_nowhere(data_folder: Path) -> None:
    register(ADA)

    for file in data_folder.rglob("*"):
        assert file.is_dir() or b"correct horse" not in file.read_bytes()


@pytest.mark.parametrize(("email", "password"), [("ada@example.org", "wrong"), ("eve@example.org", "correct horse")])
def test_a_wrong_password_and_an_unknown_user_look_the_same(email: str, password: str) -> None:
    register(ADA)

    with pytest.raises(users.InvalidCredentials, match=r"^no user with this e-mail and password$"):
        login(email, password)


def test_an_account_without_a_password_cannot_be_logged_in_to() -> None:
    register({"email": "ada@example.org"})

    with pytest.raises(users.InvalidCredentials):
        login("ada@example.org", "")


def test_an_email_registers_once() -> None:
    register(ADA)

    with pytest.raises(users.EmailTaken, match=r"ada@example\.org is registered already"):
        register({"email": "ADA@example.org"})


@pytest.mark.parametrize(
    "user_obj",
    [
        {},
        {"email": 1},
        {"email": "a"},
        {"email": "a@b\nBcc: c@d"},
        {"email": "a@b", "pasword": "x"},
        {"email": "a@b", "password": ""},
    ],
)
def test_what_is_no_user_is_refused(user_obj: dict[str, Any], stand_ins: list[str]) -> None:
    with pytest.raises(users.InvalidUser):
        register(user_obj)
    assert stand_ins == []


def test_a_registration_that_failed_half_way_goes_on(monkeypatch: pytest.MonkeyPatch, stand_ins: list[str]) -> None:
    def unavailable(user_id: str) -> str:
        stand_ins.append(user_id)
        raise WalletUnavailable("try again")

    with monkeypatch.context() as patched:
        patched.setattr(neighbours, "open_wallet", unavailable)
        with pytest.raises(WalletUnavailable):
            register(ADA)
    with pytest.raises(users.InvalidCredentials):
        login(ADA["email"], ADA["password"])

    user = register(ADA)

    assert stand_ins == [user["user_id"], user["user_id"]], "both asked for the wallet of the same user"
    assert login(ADA["email"], ADA["password"]) == user


@pytest.mark.parametrize("user_id", ["../../x", "a/b", "a\nb"])
def test_a_mail_never_leaves_the_outbox(user_id: str, data_folder: Path) -> None:
    with pytest.raises(ValueError, match="key of a mail"):
        send_welcome_email(user_id, ADA["email"])
    assert list(data_folder.rglob("*.eml")) == []


def test_the_welcome_mail_is_written_once(data_folder: Path) -> None:
    user_id = register(ADA)["user_id"]
    send_welcome_email(user_id, ADA["email"])

    (file,) = (data_folder / "outbox").iterdir()
    assert message_from_bytes(file.read_bytes())["To"] == ADA["email"]


class _Smtp(socketserver.StreamRequestHandler):
    """As much of an SMTP server as one mail needs; what it takes goes into `mails`."""

    mails: list[bytes]

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                self.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.wfile.write(b"250 ok\r\n" if not line.upper().startswith(b"QUIT") else b"221 bye\r\n")


def test_with_a_server_the_mail_leaves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[bytes] = []
    monkeypatch.setattr(_Smtp, "mails", mails, raising=False)
    with socketserver.TCPServer(("127.0.0.1", 0), _Smtp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("{{ cookiecutter.env }}_SMTP", f"127.0.0.1:{server.server_address[1]}")
        try:
            for _ in range(2):
                send_welcome_email("ada", ADA["email"])
        finally:
            server.shutdown()
            thread.join()

    assert [message_from_bytes(mail)["To"] for mail in mails] == [ADA["email"]]
