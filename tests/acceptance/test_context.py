"""`mp context`, `mp config`, `mp tasks` and `mp describe` from outside, with no broker anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MP_TOML = """
[context.staging]
sync_url = "amqps://mp:$STAGING_PASSWORD@rabbit1/shop"
async_url = "amqp://mp:literal@rabbit2/shop"
safety = "confirm"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "mp.toml").write_text(MP_TOML)
    service = tmp_path / "mplogin"
    service.mkdir()
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin:app"\n')
    (service / "mplogin.py").write_text("@app.task\ndef register(email: str) -> int:\n    'Register.'\n")
    return tmp_path


def _mp(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from mpcli.cli.entry import main; sys.exit(main())"
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "XDG_"))}
    environment = {**keep, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "xdg"), **variables}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _json(done: subprocess.CompletedProcess[str]) -> object:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def _current(folder: Path, **variables: str) -> str:
    shown = _json(_mp(folder, "context", "show", **variables))
    assert isinstance(shown, dict)
    return str(shown["name"])


def test_using_a_context_and_going_back(shop: Path) -> None:
    assert _current(shop) == "local"
    assert _mp(shop, "context", "use", "staging").returncode == 0
    assert _current(shop) == "staging"
    assert _current(shop, MP_CONTEXT="local") == "local"
    rows = _json(_mp(shop, "context", "list"))
    assert isinstance(rows, list)
    assert [(row["name"], row["current"], row["safety"]) for row in rows] == [
        ("local", False, "free"),
        ("staging", True, "confirm"),
    ]
    assert _mp(shop, "context", "use", "local").returncode == 0
    assert _current(shop) == "local"


def test_outside_of_a_platform_the_choice_is_the_users(tmp_path: Path) -> None:
    file = tmp_path / "xdg" / "mp" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[context.lab]\nsync_url = "amqp://lab/"\n')
    assert _mp(tmp_path, "context", "use", "lab").returncode == 0
    assert _current(tmp_path) == "lab"


@pytest.mark.parametrize(
    ("safety", "words", "says"),
    [
        ("readonly", ("--context", "careful", "--yes"), "context careful is readonly: run a worker of mplogin.sync"),
        ("confirm", ("--context", "careful"), "to run a worker of mplogin.sync in careful all the same, add --yes"),
    ],
)
def test_a_worker_takes_messages_only_where_that_is_allowed(
    shop: Path, safety: str, words: tuple[str, ...], says: str
) -> None:
    urls = 'sync_url = "amqp://127.0.0.1:1/"\nasync_url = "amqp://127.0.0.1:1/"'
    (shop / "mp.toml").write_text(f'[context.careful]\n{urls}\nsafety = "{safety}"\n')
    done = _mp(shop, "worker", "mplogin.sync", *words)
    assert (done.returncode, done.stdout) == (7, "")
    assert says in done.stderr


def test_a_recording_that_is_not_there_is_the_command_that_is_wrong(shop: Path) -> None:
    for words in (("record", "show"), ("record", "stat"), ("record", "grep", "x"), ("trace", "3f2a9c1b"), ("replay",)):
        done = _mp(shop, *words, "no.mprec")
        assert (done.returncode, done.stderr.splitlines()[0]) == (2, "mp: there is no file no.mprec")


def test_an_unknown_context(shop: Path) -> None:
    done = _mp(shop, "context", "use", "stagin")
    assert done.returncode == 2
    assert "did you mean staging?" in done.stderr
    assert not (shop / ".mp" / "context").exists()


def test_every_setting_has_its_source_and_no_secret_is_shown(shop: Path) -> None:
    variables = {"STAGING_PASSWORD": "topsecret", "MP_ASYNC_URL": "amqp://u:hidden2@env/"}
    done = _mp(shop, "config", **variables)
    rows = {row["name"]: (row["value"], row["source"], row["where"]) for row in json.loads(done.stdout)}
    assert rows["context"] == ("local", "default", "")
    assert rows["async_url"] == ("amqp://u:***@env:5672/", "environment", "MP_ASYNC_URL")
    done = _mp(shop, "config", "--context", "staging", **variables)
    rows = {row["name"]: (row["value"], row["source"], row["where"]) for row in json.loads(done.stdout)}
    assert rows["context"] == ("staging", "flag", "--context")
    assert rows["context.safety"] == ("confirm", "file", str(shop / "mp.toml"))
    assert rows["sync_url"][:2] == ("amqps://mp:***@rabbit1:5671/shop", "file")
    shown = _mp(shop, "context", "show", "staging", **variables).stdout + _mp(shop, "context", "list").stdout
    for secret in ("topsecret", "hidden2", "literal"):
        assert secret not in done.stdout + shown


def test_tasks_and_describe_without_a_broker_say_no_word_of_error(shop: Path) -> None:
    found = _json(_mp(shop, "tasks"))
    assert isinstance(found, list)
    assert [(task["name"], task["workers"], task["origins"]["doc"]) for task in found] == [
        ("mplogin.sync.register", None, "source")
    ]
    task = _json(_mp(shop, "describe", "mplogin.sync.register"))
    assert isinstance(task, dict)
    assert (task["doc"], task["line"], task["waiting"]) == ("Register.", 2, None)
    dead = _mp(shop, "tasks", "--context", "staging", STAGING_PASSWORD="x")
    assert len(_json(dead)) == 1  # type: ignore[arg-type] # a list
    assert _json(_mp(shop, "tasks", "--context", "staging")) == found, "a variable that is not set harms no list"


def test_describing_what_is_not_there(shop: Path) -> None:
    done = _mp(shop, "describe", "mplogin.sync.regster")
    assert (done.returncode, done.stdout) == (5, "")
    assert "did you mean mplogin.sync.register?" in done.stderr
    assert _mp(shop, "describe", "nonsense").returncode == 2
