"""Outcomes find their message, and a retry's wait is its own."""

import json

import pytest

from mpcli.verbs.pairing import Pairing
from mpcli.verbs.seen import Seen
from mpcli.wire.message import Message


def seen(at: float, kind: str = "task", **headers: object) -> Seen:
    fields = {"task": "mplogin.sync.register", "id": "1", "retries": 0, **headers}
    return Seen(kind, "sync", at, Message.build("mplogin", "mplogin.sync.register", {"headers": fields}, b""))


def told(what: str, at: float, task_id: str = "1") -> Message:
    body = json.dumps({"type": f"task-{what}", "uuid": task_id, "timestamp": at})
    return Message.build("celeryev", f"task.{what}", {}, body.encode())


def waited(pairing: Pairing, at: float) -> float | None:
    (outcome,) = pairing.outcomes("sync", at, told("started", at))
    return outcome.waited


def test_a_retry_waits_from_its_own_message_on() -> None:
    pairing = Pairing()
    pairing.remember(seen(100.0))
    assert waited(pairing, 101.0) == 1.0
    pairing.remember(seen(110.0, retries=1))
    assert waited(pairing, 110.5) == 0.5
    pairing.remember(seen(120.0, kind="dead"))
    assert waited(pairing, 121.0) == 11.0
    assert pairing.outcomes("sync", 1.0, told("started", 1.0, "somebody-else")) == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"mp_sent": 99.5}, 1.5),
        ({"mp_sent": 100.5}, 1.0),
        ({"mp_sent": 1.0}, 1.0),
        ({"mp_sent": "soon"}, 1.0),
        ({"mp_sent": 99.5, "retries": 1}, 1.0),
    ],
)
def test_a_sender_that_tells_when_it_sent_is_believed_within_reason(headers, expected) -> None:
    pairing = Pairing()
    pairing.remember(seen(100.0, **headers))
    assert waited(pairing, 101.0) == expected
