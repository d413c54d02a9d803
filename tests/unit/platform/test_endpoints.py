import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnreachable, ConfigError, NoPlatform
from mpcli.platform.contexts import resolve
from mpcli.platform.state import RunningProcess, RunningState, this_process, write_state

URLS = {Mode.SYNC: "amqp://run/sync", Mode.ASYNC: "amqp://run/async"}


@pytest.fixture
def platform(tmp_path):
    (tmp_path / "mp.toml").write_text("# sync_url = 'amqp://no'\n")
    (tmp_path / ".mp").mkdir()
    (tmp_path / "mplogin" / "deep").mkdir(parents=True)
    return tmp_path


def run(platform, supervisor=None, ready=True):
    write_state(platform / ".mp", RunningState(supervisor or this_process(), "embedded", URLS, [], ready))


def test_the_environment_comes_first_then_what_runs_then_the_file(platform):
    below = str(platform / "mplogin" / "deep")
    (platform / "mp.toml").write_text('[broker]\nsync_url = "amqp://file"\n')
    assert resolve(below, environ={}).endpoint(Mode.SYNC).url == "amqp://file"
    run(platform)
    assert resolve(below, environ={}).endpoint(Mode.SYNC).url == "amqp://run/sync"
    assert resolve(below, environ={"MP_SYNC_URL": "amqp://env"}).endpoint(Mode.SYNC).url == "amqp://env"


@pytest.mark.parametrize(
    "line", ['"sync\\u005furl" = "amqp://file"', 'sync_url="amqp://file" # x', ' sync_url = "amqp://file"']
)
def test_no_way_of_writing_a_url_is_overlooked(platform, line):
    (platform / "mp.toml").write_text(f"[broker]\n{line}\n")
    assert resolve(str(platform), environ={}).endpoint(Mode.SYNC).url == "amqp://file"


def test_nothing_runs(platform):
    with pytest.raises(BrokerUnreachable) as caught:
        resolve(str(platform), environ={}).endpoint(Mode.SYNC)
    assert "mp up" in caught.value.hint
    run(platform, RunningProcess("supervisor", 1, "long ago"))
    with pytest.raises(BrokerUnreachable):
        resolve(str(platform), environ={}).endpoint(Mode.SYNC)


def test_a_file_that_is_broken_is_told_instead(platform):
    (platform / "mp.toml").write_text("[brokr\nprovider=1")
    with pytest.raises(ConfigError, match=r"mp\.toml"):
        resolve(str(platform), environ={}).endpoint(Mode.SYNC)
    run(platform)
    assert resolve(str(platform), environ={}).endpoint(Mode.SYNC).url == "amqp://run/sync"


def test_a_platform_that_still_starts_says_so(platform):
    run(platform, ready=False)
    assert "starting" in resolve(str(platform), environ={}).endpoint(Mode.SYNC).hint


def test_outside_of_a_platform(tmp_path):
    around = resolve(str(tmp_path), environ={})
    assert around.prefix == "mp"
    with pytest.raises(NoPlatform):
        around.endpoint(Mode.SYNC)


def test_the_prefix_is_the_files_or_the_environments(platform):
    (platform / "mp.toml").write_text('[platform]\nprefix = "shop"\n')
    assert resolve(str(platform), environ={}).prefix == "shop"
    assert resolve(str(platform), environ={"MP_PREFIX": "x"}).prefix == "x"


def test_a_file_that_cannot_be_read_is_named(platform):
    (platform / "mp.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"mp\.toml"):
        resolve(str(platform), environ={})
