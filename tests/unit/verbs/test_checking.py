"""Which signature a call is held against, where several are known or none."""

import pytest

from mpcli.bus.naming import Mode, TaskName
from mpcli.catalog import live_cache
from mpcli.catalog.check import ArgumentsRefused
from mpcli.catalog.live import Live, LiveTask
from mpcli.errors import BrokerUnreachable
from mpcli.platform.contexts import resolve
from mpcli.verbs.checking import check_arguments, known_task

NAME = TaskName.parse("mpshop.sync.buy")
CONTEXT = '[context.staging]\nsync_url = "amqp://staging"\nsafety = "confirm"\n'


def told(name, *parameters):
    """What the workers said of a task: a parameter for each of the names, or nothing but the task's name."""
    shape = {"kind": "POSITIONAL_OR_KEYWORD", "annotation": "int", "default": None, "required": True}
    return LiveTask(name, [{"name": one, **shape} for one in parameters] if parameters else None)


@pytest.fixture
def platform(tmp_path):
    (tmp_path / "mp.toml").write_text(CONTEXT)
    (tmp_path / "mpshop").mkdir()
    (tmp_path / "mpshop" / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mpshop"\nsync = "apps:sync_app"\n')
    (tmp_path / "mpshop" / "tasks.py").write_text(
        "from apps import sync_app\n\n\n@sync_app.task\ndef buy(written: int):\n    pass\n"
    )
    return tmp_path


@pytest.fixture
def remember(platform):
    def write(context, *tasks):
        live = Live()
        live.modes = {Mode.SYNC}
        live.tasks = {task.name: task for task in tasks}
        live_cache.remember(str(platform), context, live)

    return write


def nobody():
    raise BrokerUnreachable("nothing runs")


def names(platform, context, name=NAME):
    known = known_task(resolve(platform, context, {}), name)
    parameters = known.parameters() if known else None
    return parameters and [one["name"] for one in parameters]


def test_here_the_source_goes_before_and_elsewhere_the_workers_word(platform, remember):
    for context in ("local", "staging"):
        assert names(platform, context) == ["written"]
        remember(context, told(str(NAME), "running"))
    assert names(platform, "local") == ["written"]
    assert names(platform, "staging") == ["running"]


def test_a_task_that_only_lives_on_workers_is_checked_too(platform, remember):
    remember("local", told("mpshop.sync.sell", "pieces"), told("mpshop.sync.plain"))
    around = resolve(platform, "local", {})
    sell = TaskName.parse("mpshop.sync.sell")
    assert check_arguments(around, sell, [], {"pieces": "3"}, nobody) == (([], {"pieces": 3}), "")
    with pytest.raises(ArgumentsRefused):
        check_arguments(around, sell, [], {"pices": "3"}, nobody)
    plain = TaskName.parse("mpshop.sync.plain")  # of a worker that tells no signatures
    assert check_arguments(around, plain, [1], {"x": "y"}, nobody) == (([1], {"x": "y"}), "")


def test_what_cannot_be_read_is_not_known(platform, remember):
    remember("staging", told(str(NAME), "running"))
    (platform / ".mp" / "cache" / "live.staging").write_text(f"{NAME}\tonly three\tfields\n")
    assert names(platform, "staging") is None
    (platform / "mp.toml").write_text("")
    (platform / "mpshop" / "pyproject.toml").write_text("[[[")
    assert names(platform, "local") is None
