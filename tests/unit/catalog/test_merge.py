"""One catalog of three sources: where each field comes from, and what is said when they disagree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.bus.naming import Mode
from mpcli.catalog import index
from mpcli.catalog.live import Live, LiveTask, live_task
from mpcli.catalog.live_cache import recall, remember
from mpcli.catalog.merge import CatalogTask, merge
from mpcli.catalog.source import SourceTask

NAME = "mplogin.sync.register"
EMAIL = {
    "name": "email",
    "kind": "POSITIONAL_OR_KEYWORD",
    "annotation": "str",
    "default": None,
    "required": True,
}


def _source(name: str = NAME, *parameters: dict[str, object]) -> SourceTask:
    return SourceTask(name, list(parameters), "dict", "As written.", "/a/tasks.py", 3)


def _live(*tasks: LiveTask, complete: bool = True) -> Live:
    live = Live()
    live.tasks = {task.name: task for task in tasks}
    live.modes = {Mode.SYNC}
    live.complete = {Mode.SYNC} if complete else set()
    return live


def _only(source: list[SourceTask], live: Live | None, cached: Live | None = None) -> CatalogTask:
    (task,) = merge(source, live, cached)
    return task


def test_the_source_alone() -> None:
    task = _only([_source()], None)
    assert (task.doc, task.file, task.workers, task.disagreements) == ("As written.", "/a/tasks.py", None, [])
    assert set(task.origins.values()) == {"source"}


def test_workers_go_before_for_what_runs_and_the_place_is_from_the_source() -> None:
    running = LiveTask(NAME, [EMAIL], "dict", "As run.", {"time_limit": 3}, ["w@a", "w@b"])
    task = _only([_source(NAME, {**EMAIL, "annotation": "typing.Any"})], _live(running))
    assert (task.doc, task.limits, task.workers, task.line) == ("As run.", {"time_limit": 3}, ["w@a", "w@b"], 3)
    assert (task.origins["doc"], task.origins["line"], task.origins["workers"]) == ("live", "source", "live")
    assert task.disagreements == [], "annotations are spelt in several ways"


def test_a_worker_that_knows_names_only_leaves_the_signature_to_the_source() -> None:
    task = _only([_source(NAME, EMAIL)], _live(LiveTask(NAME, workers=["w@a"])))
    assert (task.parameters, task.origins["parameters"], task.workers) == ([EMAIL], "source", ["w@a"])
    assert task.disagreements == []


@pytest.mark.parametrize(
    ("source", "live", "said"),
    [
        ([_source()], _live(), "no worker serves it"),
        ([], _live(LiveTask(NAME, [], workers=["w"])), "not in the source"),
        ([_source()], _live(LiveTask(NAME, [EMAIL], workers=["w"])), "differs"),
    ],
)
def test_disagreements_are_shown(source: list[SourceTask], live: Live, said: str) -> None:
    (sentence,) = _only(source, live).disagreements
    assert said in sentence


def test_silence_of_a_stuck_worker_proves_nothing() -> None:
    assert _only([_source()], _live(complete=False)).disagreements == []
    assert _only([_source("mplogin.async.mail")], _live()).workers is None, "the async broker was not asked"


def test_the_cache_fills_in_and_never_contradicts() -> None:
    cached = _live(LiveTask(NAME, [EMAIL], "int", "As it was.", {"rate_limit": "1/m"}, ["gone@a"]))
    task = _only([_source()], None, cached)
    assert (task.doc, task.limits, task.origins["limits"], task.workers) == (
        "As written.",
        {"rate_limit": "1/m"},
        "cache",
        None,
    )
    assert _only([], None, cached).doc == "As it was."
    assert merge([], _live(), cached) == [], "its broker was asked and no worker has it any more"


def test_what_is_remembered_is_kept_by_mode_and_found_by_tab(tmp_path: Path) -> None:
    root = str(tmp_path)
    mail = LiveTask("mplogin.async.mail", [EMAIL], None, "Mails.", {}, ["w@a"])
    first = _live(LiveTask(NAME, [EMAIL], "dict", "As run.", {}, ["w@a"]), mail)
    first.modes = set(Mode)
    remember(root, "staging", first)
    remember(root, "staging", _live(LiveTask("mplogin.sync.login")))
    found = recall(root, "staging")
    assert found is not None
    assert sorted(found.tasks) == ["mplogin.async.mail", "mplogin.sync.login"]
    assert found.tasks["mplogin.async.mail"].as_dict() == mail.as_dict()
    assert found.modes == set(Mode)
    assert [task.name for task in index.live_tasks(root, "staging", "mplogin.s")] == ["mplogin.sync.login"]
    assert recall(root, "production") is None
    remember(root, "staging", Live())
    assert recall(root, "staging") is not None, "nobody answered: nothing is forgotten"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "at": "x", "tasks": 3}'])
def test_a_damaged_cache_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".mp" / "cache").mkdir(parents=True)
    (tmp_path / ".mp" / "cache" / "live.local.json").write_text(text)
    assert recall(str(tmp_path), "local") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = ("parameters", "returns", "doc", "limits", "workers", "name", "kind", "annotation")


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON))))
def test_whatever_a_worker_says_is_taken_or_left(fields: dict[str, object]) -> None:
    task = live_task(NAME, fields)
    (merged,) = merge([], _live(task), None)
    assert merged.name == NAME
