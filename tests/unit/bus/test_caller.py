from datetime import UTC, datetime, timedelta

import pytest

from mpcli.bus import Caller
from mpcli.bus.delay import Delay
from mpcli.bus.topology import conflict
from mpcli.errors import ConfigError, InvalidName, UsageError


def test_bad_options_are_refused_when_given():
    for options in ({"sync_url": "redis://h"}, {"timeout": 0}, {"timeout": float("inf")}, {"prefix": "Mp"}):
        with pytest.raises(UsageError):
            Caller(**options)
    for options in ({"timeout": -1}, {"timeout": True}, {"countdown": -1}, {"expires": "soon"}):
        with pytest.raises(UsageError):
            Caller().with_options(**options)


def test_a_missing_url_is_told_at_the_call(monkeypatch):
    monkeypatch.delenv("MP_SYNC_URL", raising=False)
    with pytest.raises(ConfigError, match="MP_SYNC_URL"):
        Caller().call("mplogin.sync.register")


@pytest.mark.parametrize("name", ["register", "mplogin.register", "login.sync.register", "mplogin.sync.Register"])
def test_names_are_checked_before_anything_is_connected(name):
    with pytest.raises(InvalidName):
        Caller("amqp://127.0.0.1:1//").call(name)


def test_the_prefix_is_the_platforms(monkeypatch):
    monkeypatch.setenv("MP_PREFIX", "shop")
    with pytest.raises(InvalidName):
        Caller("amqp://127.0.0.1:1//").call("mplogin.sync.register")


def test_a_delay():
    now = datetime.now(UTC)
    assert not Delay.of().waits
    assert not Delay.of(countdown=0.5).waits
    assert Delay.of(countdown=2).waits
    assert Delay.of(eta=now - timedelta(hours=1)).eta < now
    assert not Delay.of(eta=now - timedelta(hours=1)).waits
    headers = Delay.of(countdown=60, expires=120).headers()
    assert datetime.fromisoformat(headers["expires"]) - datetime.fromisoformat(headers["eta"]) > timedelta(seconds=59)


def test_a_naive_moment_is_local_time():
    local = datetime(2030, 1, 1, 12, 0)
    assert Delay.of(eta=local).eta == local.astimezone(UTC)


@pytest.mark.parametrize(
    "options",
    [
        {"countdown": 1, "eta": datetime.now(UTC)},
        {"countdown": 5, "expires": 2},
        {"expires": datetime(2020, 1, 1, tzinfo=UTC)},
        {"eta": datetime(2050, 1, 1, tzinfo=UTC)},
        {"countdown": float("nan")},
    ],
)
def test_delays_that_make_no_sense(options):
    with pytest.raises(UsageError):
        Delay.of(**options)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received '5' but current is '3'", "3; 5"),
        (
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost 'v': received the value 'quorum' of type 'longstr' "
            "but current is none",
            "none; quorum",
        ),
        (
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'",
            "false; true",
        ),
    ],
)
def test_both_values_of_a_conflict(text, told):
    error = conflict(Exception(f"Queue.declare: (406) PRECONDITION_FAILED - {text}"))
    current, wanted = told.split("; ")
    assert f"= {current}; " in error.message
    assert error.message.endswith(f"= {wanted}")
    assert conflict(Exception("something else")) is None
