"""The index finds what a search through all lines finds, and is never staler than it says."""

import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.catalog import index
from mpcli.catalog.indexing import item, replace_lines

SERVICE = '[tool.mpcli]\nservice = "{0}"\nsync = "{0}.apps:sync_app"\n'
TASK = '@sync_app.task\ndef {}(email: str, user_obj: dict, *, age=3):\n    """Do\tit: {}."""\n'


def _service(root: Path, name: str, *tasks: str) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "pyproject.toml").write_text(SERVICE.format(name))
    (folder / "tasks.py").write_text("\n".join(TASK.format(task, task) for task in tasks))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mp.toml").write_text("")
    _service(tmp_path, "mplogin", "register", "login")
    _service(tmp_path, "mpwallet", "open")
    return tmp_path


def _names(root: Path, prefix: str = "") -> list[str]:
    return [task.name for task in index.tasks(str(root), prefix)]


@given(st.sets(st.text("ab.\u00e9", min_size=1, max_size=6)), st.text("ab.\u00e9", max_size=4))
def test_bisection_finds_what_a_search_through_all_finds(tmp_path_factory, lines: set[str], prefix: str) -> None:
    file = tmp_path_factory.getbasetemp() / "lines"
    replace_lines(str(file), lines)
    expected = sorted(line.encode() for line in lines if line.startswith(prefix))
    assert list(index.with_prefix(str(file), prefix)) == expected


def test_a_file_of_long_lines(tmp_path: Path) -> None:
    lines = [f"{number:05d}{'x' * (number % 9000)}" for number in range(500)]
    replace_lines(str(tmp_path / "lines"), lines)
    for number in range(500):
        assert [line[:5] for line in index.with_prefix(str(tmp_path / "lines"), f"{number:05d}")] == [b"%05d" % number]


def test_tasks_services_and_what_may_be_typed(root: Path) -> None:
    assert _names(root, "mpl") == ["mplogin.sync.login", "mplogin.sync.register"]
    assert index.services(str(root), "") == [("mplogin", ["sync"]), ("mpwallet", ["sync"])]
    task = index.lookup(str(root), "mplogin.sync.register")
    assert task is not None
    assert task.doc == "Do      it: register."
    assert task.items == [("email=", "str"), ("user_obj:=", "dict"), ("age=", "anything = 3")]
    assert [parameter["name"] for parameter in task.parameters()] == ["email", "user_obj", "age"]
    assert index.lookup(str(root), "mplogin.sync.regis") is None


def test_a_change_is_seen_at_once(root: Path) -> None:
    assert _names(root, "mpwallet.") == ["mpwallet.sync.open"]
    (root / "mpwallet" / "more.py").write_text(TASK.format("close", "close"))
    assert _names(root, "mpwallet.") == ["mpwallet.sync.close", "mpwallet.sync.open"]
    (root / "mpwallet" / "more.py").write_text(TASK.format("shut", "shut") + "\n")
    assert _names(root, "mpwallet.") == ["mpwallet.sync.open", "mpwallet.sync.shut"]
    _service(root, "mpmail", "send")
    assert _names(root, "mpm") == ["mpmail.sync.send"]
    shutil.rmtree(root / "mpmail")
    assert _names(root, "mpm") == []
    (root / "mpwallet" / "pyproject.toml").write_text(SERVICE.format("mppurse"))
    assert _names(root, "mppurse.") == ["mppurse.sync.open", "mppurse.sync.shut"]
    assert _names(root, "mpwallet.") == []


def test_a_folder_that_becomes_a_service(root: Path) -> None:
    (root / "shop").mkdir()
    assert _names(root, "mpshop") == []
    (root / "shop" / "pyproject.toml").write_text(SERVICE.format("mpshop"))
    (root / "shop" / "tasks.py").write_text(TASK.format("buy", "buy"))
    assert _names(root, "mpshop") == ["mpshop.sync.buy"]


def test_a_damaged_or_missing_index_is_made_again(root: Path) -> None:
    assert len(_names(root)) == 3
    shutil.rmtree(root / ".mp")
    assert len(_names(root)) == 3
    (root / ".mp" / "cache" / "stamps").write_bytes(b"\t\xff\n")
    (root / ".mp" / "cache" / "source.json").write_text('{"version": 2, "files": {"a": 3}}')
    (root / ".mp" / "cache" / "tasks").unlink()
    assert len(_names(root)) == 3


def test_many_paths_are_answered_first_and_scanned_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_names(root)) == 3
    monkeypatch.setattr(index, "CHECKED", 3)
    children: list[int] = []
    fork = os.fork
    gate, opened = os.pipe()

    def fork_held() -> int:
        """The child does nothing until the gate is opened: it cannot be faster than the answer, on any machine."""
        children.append(fork())
        if not children[-1]:
            os.close(opened)
            os.read(gate, 1)
        return children[-1]

    monkeypatch.setattr(os, "fork", fork_held)
    (root / "mpwallet" / "more.py").write_text(TASK.format("close", "close"))
    file = root / ".mp" / "cache" / "tasks"
    assert len(_names(root)) == 3, "young enough: neither looked at nor scanned"
    os.utime(file, (1, 1))
    assert len(_names(root)) == 3, "the answer does not wait for the scan"
    os.close(opened)
    os.close(gate)
    deadline = time.monotonic() + 30
    while b"close" not in file.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (child,) = children
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("kind", "annotation", "expected"),
    [
        ("KEYWORD_ONLY", "str", "a="),
        ("KEYWORD_ONLY", "str | None", "a="),
        ("KEYWORD_ONLY", None, "a="),
        ("POSITIONAL_OR_KEYWORD", "int", "a:="),
        ("POSITIONAL_ONLY", "int", ""),
        ("VAR_KEYWORD", "int", ""),
    ],
)
def test_how_a_parameter_is_begun(kind: str, annotation: str | None, expected: str) -> None:
    assert item({"name": "a", "kind": kind, "annotation": annotation, "default": None}) == expected
