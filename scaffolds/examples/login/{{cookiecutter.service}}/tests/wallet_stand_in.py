"""A wallet service for the tests: the one task that `register` calls, under the name and with the reply of the real one."""

from typing import Any

from mpcli.bus import service_apps

sync_app, _ = service_apps("{{ cookiecutter.wallet }}"{% if cookiecutter.prefix != "mp" %}, prefix="{{ cookiecutter.prefix }}"{% endif %})


@sync_app.task
def open(owner: str, currency: str = "EUR") -> dict[str, Any]:
    """A wallet whose id tells its owner."""
    return {"wallet_id": f"wallet of {owner}", "owner": owner, "currency": currency}
