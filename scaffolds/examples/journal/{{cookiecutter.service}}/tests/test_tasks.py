"""The tasks, called as plain functions: a decorated task still is one."""

import pytest

from {{ cookiecutter.service }}.async_tasks import record_event
from {{ cookiecutter.service }}.sync_tasks import recent_events

pytestmark = pytest.mark.usefixtures("data_folder")


def test_what_was_recorded_comes_back_newest_first() -> None:
    record_event("started", {"by": "me"})
    record_event("stopped")

    events = recent_events()

    assert [event["name"] for event in events] == ["stopped", "started"]
    assert events[1]["details"] == {"by": "me"}


def test_no_more_events_than_asked_for() -> None:
    for number in range(5):
        record_event(f"event {number}")

    assert [event["name"] for event in recent_events(limit=2)] == ["event 4", "event 3"]


def test_an_event_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        record_event(" ")
    assert recent_events() == []
