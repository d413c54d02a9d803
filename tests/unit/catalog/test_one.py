"""One task of a large platform: found without reading the others, and as fresh as its files."""

import subprocess
import sys
import time

import pytest

from mpcli.catalog import index, one
from mpcli.catalog.one import find_task

PYPROJECT = '[tool.mpcli]\nservice = "{0}"\nsync = "apps:sync_app"\n'
TASK = "from apps import sync_app\n\n\n@sync_app.task\ndef buy({0}):\n    pass\n"


@pytest.fixture
def platform(tmp_path, monkeypatch):
    monkeypatch.setattr(one, "_FEW_SERVICES", 1)
    (tmp_path / "mp.toml").write_text("")
    for name in ("mpshop", "mpwallet"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(PYPROJECT.format(name))
        (tmp_path / name / "tasks.py").write_text(TASK.format("pieces: int"))
    return tmp_path


def parameters(platform, name="mpshop.sync.buy"):
    task = find_task(str(platform), "mp", name)
    return task and [one["name"] for one in task.parameters()]


def test_without_an_index_only_the_service_is_read(platform):
    (platform / "mpwallet" / "pyproject.toml").write_text("[[[")  # the other one would stop a scan
    assert parameters(platform) == ["pieces"]
    assert parameters(platform, "mpshop.sync.sell") is None
    assert parameters(platform, "mpother.sync.buy") is None


def test_with_an_index_a_change_is_seen_at_once(platform):
    index.scan(str(platform))
    assert parameters(platform) == ["pieces"]
    (platform / "mpshop" / "tasks.py").write_text(TASK.format("pieces: int, price: float"))
    assert parameters(platform) == ["pieces", "price"]


def test_a_process_of_its_own_makes_the_index_behind(platform):
    code = "import sys; from mpcli.catalog import one; one._FEW_SERVICES = 1; "
    code += "print(one.find_task(sys.argv[1], 'mp', 'mpshop.sync.buy').name)"
    done = subprocess.run([sys.executable, "-c", code, str(platform)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "mpshop.sync.buy"
    cache = platform / ".mp" / "cache"
    deadline = time.monotonic() + 30
    while not (cache / "stamps").exists() or (cache / "scanning").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [task.name for task in index.tasks(str(platform), "")] == ["mpshop.sync.buy", "mpwallet.sync.buy"]
