"""The worker's answer to "what do you serve?"."""

from __future__ import annotations

import pytest
from celery import Celery

from mpcli.bus.naming import Mode


@pytest.fixture
def control(served):
    app = Celery(broker=served.urls[Mode.SYNC].replace("amqp://", "pyamqp://"), set_as_current=False)
    with app.connection_for_write() as connection:
        yield lambda **options: app.control.broadcast(connection=connection, reply=True, timeout=30, **options)
    app.close()


def ask(control, **arguments):
    replies = control(command="mp_describe", arguments=arguments, limit=2)
    return {name: answer for reply in replies for name, answer in reply.items()}


def test_signatures_docs_and_limits(control):
    answers = ask(control, tasks=None)
    tasks = {name: told for answer in answers.values() for name, told in answer["tasks"].items()}
    add = tasks["mpalpha.sync.add"]
    assert add["parameters"] == [
        {"name": "a", "kind": "positional_or_keyword", "annotation": "int", "default": None, "required": True},
        {"name": "b", "kind": "positional_or_keyword", "annotation": "int", "default": "1", "required": False},
    ]
    assert add["returns"] == "int"
    assert add["doc"] == "Add two numbers."
    assert add["limits"]["acks_late"] is True
    assert [parameter["name"] for parameter in tasks["mpalpha.sync.nest"]["parameters"]] == ["depth"]
    assert not [name for name in tasks if name.startswith("celery.") or ".async." in name]


def test_only_the_tasks_that_are_named(control):
    tasks = [set(answer["tasks"]) for answer in ask(control, tasks=["mpalpha.sync.pid"]).values()]
    assert sorted(tasks, key=len) == [set(), {"mpalpha.sync.pid"}]


def test_it_answers_while_the_pool_is_busy(served, control):
    with served.busy("asked, one", "asked, two"):
        assert len(ask(control, tasks=["mpalpha.sync.pid"])) == 2
