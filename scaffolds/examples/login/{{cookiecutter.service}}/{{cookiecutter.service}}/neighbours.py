"""What this service asks of others, and of its own async side: the only place that knows their tasks' names."""

from __future__ import annotations

from mpcli.bus import Caller
from mpcli.errors import MpError

# Five seconds: whoever calls `register` waits that long at most before it hears that there is no wallet.
_caller = Caller({% if cookiecutter.prefix != "mp" %}prefix="{{ cookiecutter.prefix }}", {% endif %}timeout=5.0)


class WalletUnavailable(RuntimeError):
    """The wallet service gave no wallet; nothing was registered, and the same call can be made again."""


def open_wallet(user_id: str) -> str:
    """The id of the user's wallet, opened if there is none yet."""
    try:
        wallet = _caller.call("{{ cookiecutter.wallet }}.sync.open", user_id)
    except MpError as error:
        raise WalletUnavailable(f"not registered, try again: {error.message}") from error
    return str(wallet["wallet_id"])


def send_welcome_email(user_id: str, email: str) -> None:
    """Queue the welcome mail."""
    _caller.send("{{ cookiecutter.service }}.async.send_welcome_email", user_id, email)
