"""What the source scan finds, and that it never runs what it reads."""

import json
from pathlib import Path

import pytest

from mpcli.bus.naming import Mode
from mpcli.catalog.nearest import nearest
from mpcli.catalog.source import scan_platform, scan_service
from mpcli.platform.layout import Service, load_platform

SOURCE = '''
"""Tasks."""
from typing import Any
from mplogin.apps import async_app, sync_app
from mplogin.apps import sync_app as app
import mplogin.apps

raise SystemExit("a scan must not run this")

@sync_app.task
def register(
    user_obj: dict[str, Any], /, invite: str = "none", *rest: int, dry: bool = False, **more
) -> dict[str, Any]:
    """Register a user.

    More words.
    """

@app.task(bind=True, max_retries=3)
def login(self, email, password=None): ...

@mplogin.apps.async_app.task()
async def send_mail(to: str) -> None: ...

@sync_app.task(name="mplogin.sync.renamed")
def internal(): ...

@celery.task(name="mplogin.async.plain")
def plain(x): ...

@shared_task(name="mpother.async.foreign")
def foreign(): ...

@something.else_
def not_a_task(): ...

@sync_app.task
def _Refused(): ...
'''


@pytest.fixture
def service(tmp_path: Path) -> Service:
    package = tmp_path / "mplogin" / "mplogin"
    package.mkdir(parents=True)
    (package / "tasks.py").write_text(SOURCE)
    (package / "broken.py").write_text("@sync_app.task\ndef half(:\n")
    (package / "binary.py").write_bytes(b"\x00task\xff")
    hidden = tmp_path / "mplogin" / ".venv" / "lib"
    hidden.mkdir(parents=True)
    (hidden / "vendored.py").write_text("@sync_app.task\ndef vendored(): ...\n")
    return Service(
        "mplogin", tmp_path / "mplogin", {Mode.SYNC: "mplogin.apps:sync_app", Mode.ASYNC: "mplogin.apps:async_app"}
    )


def test_it_finds_tasks_by_app_and_by_name(service: Service) -> None:
    assert [task.name for task in scan_service(service)] == [
        "mplogin.async.plain",
        "mplogin.async.send_mail",
        "mplogin.sync.login",
        "mplogin.sync.register",
        "mplogin.sync.renamed",
    ]


def test_a_task_knows_its_signature_doc_and_place(service: Service) -> None:
    (register,) = [task for task in scan_service(service) if task.name.endswith("register")]
    assert register.doc == "Register a user.\n\nMore words."
    assert register.returns == "dict[str, Any]"
    assert Path(register.file).read_text().splitlines()[register.line - 1].startswith("def register")
    assert [(p["name"], p["kind"], p["annotation"], p["default"], p["required"]) for p in register.parameters] == [
        ("user_obj", "POSITIONAL_ONLY", "dict[str, Any]", None, True),
        ("invite", "POSITIONAL_OR_KEYWORD", "str", "'none'", False),
        ("rest", "VAR_POSITIONAL", "int", None, False),
        ("dry", "KEYWORD_ONLY", "bool", "False", False),
        ("more", "VAR_KEYWORD", None, None, False),
    ]


def test_a_bound_task_does_not_show_itself(service: Service) -> None:
    (login,) = [task for task in scan_service(service) if task.name.endswith("login")]
    assert [p["name"] for p in login.parameters] == ["email", "password"]


@pytest.fixture
def platform_folder(tmp_path: Path, service: Service) -> Path:
    (tmp_path / "mp.toml").write_text("")
    (service.path / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin.apps:sync_app"\n')
    return tmp_path


def test_the_cache_follows_the_files(platform_folder: Path) -> None:
    platform = load_platform(platform_folder)
    first = [task.as_dict() for task in scan_platform(platform)]
    assert [task.as_dict() for task in scan_platform(platform)] == first
    source = platform_folder / "mplogin" / "mplogin" / "tasks.py"
    source.write_text("@sync_app.task\ndef newer(): ...\n")
    assert [task.name for task in scan_platform(platform)] == ["mplogin.sync.newer"]
    source.unlink()
    assert scan_platform(platform) == []


@pytest.mark.parametrize("garbage", ["", "{", "[]", "null", '{"version": 1, "files": {"a": 3}}', '{"version": 99}'])
def test_a_damaged_cache_is_done_without(platform_folder: Path, garbage: str) -> None:
    platform = load_platform(platform_folder)
    expected = [task.name for task in scan_platform(platform)]
    (platform.runtime / "cache" / "source.json").write_text(garbage)
    assert [task.name for task in scan_platform(platform)] == expected


def test_the_cache_is_used(platform_folder: Path) -> None:
    platform = load_platform(platform_folder)
    scan_platform(platform)
    file = platform.runtime / "cache" / "source.json"
    data = json.loads(file.read_text())
    for _, tasks in data["files"].values():
        for task in tasks:
            task["doc"] = "from the cache"
    file.write_text(json.dumps(data))
    assert {task.doc for task in scan_platform(platform)} == {"from the cache"}


def test_a_platform_where_no_cache_can_be_written_is_scanned_all_the_same(platform_folder: Path) -> None:
    (platform_folder / ".mp").write_text("a file where the runtime folder would be")
    assert scan_platform(load_platform(platform_folder))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mplogin.sync.regster", "mplogin.sync.register"),
        ("mplogin.async.register", "mplogin.sync.register"),
        ("mplogn.sync.login", "mplogin.sync.login"),
        ("mpwallet.sync.login", "mplogin.sync.login"),
        ("zzz", None),
    ],
)
def test_did_you_mean(typed: str, meant: str | None) -> None:
    assert nearest(typed, ["mplogin.sync.register", "mplogin.sync.login", "mpwallet.sync.open"]) == meant
