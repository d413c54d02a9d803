"""Finding the brokers: who chooses the context, what its file may say, what guards it, and that no secret is told."""

import os
from pathlib import Path

import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnreachable, ConfigError, ExitCode, NoPlatform, SafetyRefusal
from mpcli.platform.contexts import allow_write, resolve
from mpcli.platform.expansion import expand
from mpcli.platform.layout import load_platform
from mpcli.platform.state import RunningState, this_process, write_state
from mpcli.wire.url import parse_urls

STAGING = """
[context.staging]
sync_url = ["amqps://mp:${SECRET}@rabbit1:5671/shop", "rabbit2"]
async_url = "amqps://mp:$SECRET@rabbit3/shop"
safety = "confirm"
colour = "yellow"
[context.staging.tls]
ca = "certs/ca.pem"
certificate = "/etc/mp/client.pem"
key = "/etc/mp/client.key"
server_name = "rabbit.internal"
[context.production]
async_url = "amqp://mp@prod/"
safety = "readonly"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("MP_CONTEXT", "MP_SYNC_URL", "MP_ASYNC_URL", "MP_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET", "p@ss/w:rd;%")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mp.toml").write_text(STAGING)
    return folder


def _run(root: Path) -> None:
    runtime = load_platform(root).make_runtime()
    urls = {mode: f"amqp://127.0.0.1/{mode}" for mode in Mode}
    write_state(runtime, RunningState(this_process(), "embedded", urls, [], ready=True))


def test_local_is_what_runs(root: Path) -> None:
    assert resolve(root).urls == {}
    with pytest.raises(BrokerUnreachable, match="not running"):
        resolve(root).endpoint(Mode.SYNC)
    _run(root)
    deep = root / "a"
    deep.mkdir()
    assert resolve(deep).urls == {Mode.SYNC: "amqp://127.0.0.1/sync", Mode.ASYNC: "amqp://127.0.0.1/async"}
    assert resolve(deep).safety == "free"


def test_what_runs_goes_before_what_mp_toml_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "mp.toml").write_text('[broker]\nsync_url = "amqp://u:$SECRET@remote/"\n')
    assert resolve(root).urls == {Mode.SYNC: "amqp://u:p%40ss%2Fw%3Ard%3B%25@remote/"}
    _run(root)
    assert resolve(root).endpoint(Mode.SYNC).origin == "mp up"
    monkeypatch.setenv("MP_SYNC_URL", "amqp://env")
    assert resolve(root).endpoint(Mode.SYNC).url == "amqp://env"


def test_no_platform_and_no_variable(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NoPlatform):
        resolve(tmp_path).endpoint(Mode.SYNC)


def test_flag_before_environment_before_choice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(root).chosen_by == "default"
    (load_platform(root).make_runtime() / "context").write_text("production\n")
    assert resolve(root).name == "production"
    monkeypatch.setenv("MP_CONTEXT", "staging")
    assert (resolve(root).name, resolve(root).chosen_by) == ("staging", "MP_CONTEXT")
    assert (resolve(root, "local").name, resolve(root, "local").chosen_by) == ("local", "flag")


def test_a_flag_goes_before_urls_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_ASYNC_URL", "amqp://env")
    assert resolve(root, "production").endpoint(Mode.ASYNC).url == "amqp://mp@prod/"
    monkeypatch.setenv("MP_CONTEXT", "production")
    assert resolve(root).endpoint(Mode.ASYNC).url == "amqp://env"
    assert resolve(root).safety == "readonly"


def test_hosts_secret_and_tls_arrive_at_the_client(root: Path) -> None:
    context = resolve(root, "staging")
    first, second = parse_urls(context.endpoint(Mode.SYNC).url)
    assert (first.host, first.password, first.vhost, second.host) == ("rabbit1", "p@ss/w:rd;%", "shop", "rabbit2")
    assert second.tls is not None
    assert second.tls.ca_file == str(root / "certs/ca.pem")
    assert (second.tls.cert_file, second.tls.key_file) == ("/etc/mp/client.pem", "/etc/mp/client.key")
    assert second.tls.server_name == "rabbit.internal"
    assert (context.safety, context.colour) == ("confirm", "yellow")


def test_variables_are_expanded_when_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET")
    context = resolve(root, "staging")
    with pytest.raises(ConfigError, match=r"\$SECRET is not set"):
        context.endpoint(Mode.SYNC)


def test_a_mode_that_the_context_lacks(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"production has no sync_url"):
        resolve(root, "production").endpoint(Mode.SYNC)


def test_the_user_has_contexts_too_and_the_platform_goes_before(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "config" / "mp" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        '[context.production]\nsync_url = "amqp://mine/"\n[context.lab]\nsync_url = "amqp://lab/"\ncolour = "blue"\n'
    )
    assert resolve(root, "lab").urls == {Mode.SYNC: "amqp://lab/"}
    assert resolve(root, "production").urls == {Mode.ASYNC: "amqp://mp@prod/"}
    assert resolve(tmp_path, "production").urls == {Mode.SYNC: "amqp://mine/"}


def test_an_unknown_context_names_the_known(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_CONTEXT", "stagin")
    with pytest.raises(ConfigError, match="chosen by MP_CONTEXT") as caught:
        resolve(root)
    assert "local, production, staging" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[context]\nx = 1\n", "context.x"),
        ("context = 3\n", "context"),
        ("[context.local]\nsync_url = 'amqp://a'\n", "mp up"),
        ("[context.a]\n", "sync_url"),
        ("[context.a]\nsync_ulr = 'amqp://a'\n", "sync_ulr"),
        ("[context.a]\nsync_url = 3\n", "sync_url"),
        ("[context.a]\nsync_url = []\n", "sync_url"),
        ("[context.a]\nsync_url = 'amqp://a'\nsafety = 'none'\n", "'none'"),
        ("[context.a]\nsync_url = 'amqp://a'\ncolour = 'pink'\n", "'pink'"),
        ("[context.a]\nsync_url = 'amqp://a'\ntls = {cert = 'x'}\n", "cert"),
        ("[context.a]\nsync_url = 'amqp://a'\ntls = {verify = 'no'}\n", "verify"),
        ("[context.'A b']\nsync_url = 'amqp://a'\n", "A b"),
    ],
)
def test_a_bad_context_is_named(root: Path, text: str, said: str) -> None:
    (root / "mp.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_platform(root)
    assert said in caught.value.message + caught.value.hint


def test_tls_options_without_tls_are_refused(root: Path) -> None:
    (root / "mp.toml").write_text("[context.a]\nsync_url = 'amqp://a'\ntls = {ca = 'x'}\n")
    with pytest.raises(ConfigError, match="without TLS"):
        resolve(root, "a").endpoint(Mode.SYNC)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("amqp://u:$V@h/$V", "amqp://u:a%40b%2Fc@h/a@b/c"),
        ("amqp://$V:${V}@h;amqp://u:$V@i/x@y", "amqp://a%40b%2Fc:a%40b%2Fc@h;amqp://u:a%40b%2Fc@i/x@y"),
        ("$V", "a@b/c"),
        ("amqp://u:$$V@h", "amqp://u:$V@h"),
        ("nothing", "nothing"),
    ],
)
def test_expansion(template: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V", "a@b/c")
    assert expand(template, "here") == expected


@pytest.mark.parametrize("template", ["$", "a$1", "${", "${}", "${A", "${A-B}", "$MP_SURELY_NOT_SET"])
def test_a_dollar_that_begins_nothing(template: str) -> None:
    with pytest.raises(ConfigError, match="here"):
        expand(template, "here")


def test_a_free_context_allows(root: Path) -> None:
    allow_write(resolve(root), "purge mplogin.async")


def test_readonly_refuses_even_yes(root: Path) -> None:
    with pytest.raises(SafetyRefusal, match="production is readonly") as caught:
        allow_write(resolve(root, "production"), "purge mplogin.async", yes=True, ask=lambda question: True)
    assert caught.value.exit_code == ExitCode.REFUSED


def test_confirm_asks_naming_the_context(root: Path) -> None:
    asked: list[str] = []
    context = resolve(root, "staging")
    allow_write(context, "purge mplogin.async", ask=lambda question: not asked.append(question))
    assert asked == ["purge mplogin.async in context staging?"]
    with pytest.raises(SafetyRefusal, match="not confirmed"):
        allow_write(context, "purge", ask=lambda question: False)
    with pytest.raises(SafetyRefusal, match="no terminal") as caught:
        allow_write(context, "purge")
    assert "--yes" in caught.value.hint
    allow_write(context, "purge", yes=True)


def test_local_does_not_load_toml_for_the_tables_of_contexts(root: Path) -> None:
    import subprocess
    import sys

    code = f"from mpcli.platform.contexts import resolve; resolve({str(root)!r}); print('tomllib' in sys.modules)"
    code = f"import sys; {code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"
    (root / "mp.toml").write_text('[context.a]\nsync_url = "amqp://a"\n[platform]\nprefix = "qq"\n')
    assert resolve(root).prefix == "qq"


def test_a_list_shows_the_variables_that_hosts_are_and_no_password(root):
    from mpcli.verbs.context import contexts

    (root / "mp.toml").write_text('[context.a]\nsync_url = ["amqp://u:pw@h/v", "${HOST}"]\nasync_url = "$URL"\n')
    (row,) = [row for row in contexts(root) if row["name"] == "a"]
    assert (row["sync_url"], row["async_url"]) == ("amqp://u:***@h:5672/v;${HOST}", "$URL")
