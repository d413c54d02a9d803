"""Run by `nox -s bus` where only Celery is installed beside mpcli: the bus must work there."""

import importlib.util
import sys

for brought_by_mp in ("typer", "rich", "cookiecutter"):
    if importlib.util.find_spec(brought_by_mp) is not None:
        sys.exit(f"{brought_by_mp} is installed here: this environment proves nothing")

from mpcli.bus import Caller, service_apps  # noqa: E402 - the check above comes first

urls = {"sync_url": "amqp://127.0.0.1:1//", "async_url": "amqp://127.0.0.1:1//"}
sync_app, async_app = service_apps("mplogin", **urls)


@sync_app.task
def register(user_obj: dict) -> dict:
    return user_obj


assert register.name == "mplogin.sync.register", register.name
assert register({"email": "a@b.c"}) == {"email": "a@b.c"}
Caller(**urls)
print("the bus works with Celery alone")
