import subprocess
import sys

import pytest

from mpcli.bus import service_apps
from mpcli.errors import ConfigError, InvalidName, UsageError


@pytest.fixture
def apps(monkeypatch):
    for name in ("MP_SYNC_URL", "MP_ASYNC_URL", "MP_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return service_apps("mplogin")


def test_names_come_from_functions(apps):
    # Names that no other test uses: a plain Celery app with a shared task of the same name would put it everywhere.
    sync_app, async_app = apps

    @sync_app.task
    def enlist(user: dict) -> dict:
        return user

    @async_app.task(max_retries=2)
    def post_mail() -> None: ...

    assert enlist.name == "mplogin.sync.enlist"
    assert post_mail.name == "mplogin.async.post_mail"
    assert enlist({"a": 1}) == {"a": 1}
    assert enlist.name not in async_app.tasks
    assert post_mail.name not in sync_app.tasks


def test_names_are_checked_when_the_decorator_runs(apps):
    sync_app, _ = apps
    with pytest.raises(InvalidName):

        @sync_app.task
        def Register():
            pass

    for given in ("register", "mplogin.async.register", "mpother.sync.register", "mplogin.sync.Register"):
        with pytest.raises(InvalidName):
            sync_app.task(name=given)(lambda: None)


def test_two_tasks_of_one_name(apps):
    sync_app, _ = apps

    def first():
        @sync_app.task
        def register():
            pass

    def second():
        @sync_app.task
        def register():
            pass

    first()
    first()  # the same function, imported under two names
    with pytest.raises(UsageError, match=r"two tasks are named mplogin\.sync\.register"):
        second()


def test_a_bad_service_is_told(apps):
    with pytest.raises(InvalidName) as caught:
        service_apps("login")
    assert "mplogin" in caught.value.hint
    assert service_apps("shoplogin", prefix="shop")[0].main == "shoplogin.sync"


def test_settings_of_the_table():
    sync_app, async_app = service_apps("mplogin", sync_url="amqp://h/sync", async_url="amqp://h/async")
    for app, mode in ((sync_app, "sync"), (async_app, "async")):
        assert app.conf.broker_url == f"pyamqp://h/{mode}"
        assert [queue.name for queue in app.conf.task_queues] == [f"mplogin.{mode}"]
        assert app.conf.accept_content == ["json"]
        assert app.conf.task_create_missing_queues is False
        assert app.conf.task_acks_late is True
        assert app.conf.worker_prefetch_multiplier == 1
    assert sync_app.conf.result_backend == "rpc://"
    assert async_app.conf.task_ignore_result is True
    assert async_app.conf.task_acks_on_failure_or_timeout is False
    assert async_app.conf.task_reject_on_worker_lost is True
    assert service_apps("mplogin", accept_pickle=True)[0].conf.accept_content == ["json", "pickle"]


def test_routes_name_no_queue():
    sync_app, async_app = service_apps("mplogin", sync_url="amqp://h", async_url="amqp://h")
    route = async_app.amqp.router.route({}, "mpwallet.async.open")
    assert route == {
        "exchange": "mpwallet",
        "exchange_type": "topic",
        "routing_key": "mpwallet.async.open",
        "mandatory": True,
    }
    with pytest.raises(UsageError, match="async broker"):
        sync_app.amqp.router.route({}, "mpwallet.async.open")
    with pytest.raises(InvalidName):
        sync_app.amqp.router.route({}, "open")


def test_without_urls_tasks_can_be_imported_and_nothing_connects(apps):
    with pytest.raises(ConfigError, match="MP_SYNC_URL is not set"):
        apps[0].connection_for_write()
    with pytest.raises(ConfigError, match="MP_ASYNC_URL is not set"):
        apps[1].connection_for_read()


def test_celerys_own_variables_are_refused(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://elsewhere")
    with pytest.raises(ConfigError, match="CELERY_BROKER_URL"):
        service_apps("mplogin")


def test_importing_the_bus_loads_no_celery():
    code = "import sys, mpcli.bus, mpcli.bus.naming\nassert not {'celery', 'kombu', 'amqp'} & set(sys.modules)"
    code += "\nfrom mpcli.bus import Caller\nassert 'celery' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
