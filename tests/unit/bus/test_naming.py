"""The grammar of names."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.bus.naming import Mode, TaskName, check_service, check_task, suggest_service
from mpcli.errors import ExitCode, InvalidName

SERVICES = st.from_regex(r"mp[a-z][a-z0-9]{0,20}(_[a-z0-9]{1,10}){0,2}", fullmatch=True)
TASKS = st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True)


@given(SERVICES, st.sampled_from(list(Mode)), TASKS)
def test_a_name_is_its_route(service: str, mode: Mode, task: str) -> None:
    name = TaskName.parse(f"{service}.{mode}.{task}")
    assert (name.exchange, name.queue, name.routing_key) == (service, f"{service}.{mode}", f"{service}.{mode}.{task}")
    assert TaskName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mplogin",
        "mplogin.sync",
        "mplogin.sync.",
        "mplogin..register",
        ".sync.register",
        "login.sync.register",
        "mp.sync.register",
        "mplogin.both.register",
        "mplogin.SYNC.register",
        "mplogin.sync.Register",
        "mplogin.sync._register",
        "mplogin.sync.register.more",
        "mplogin.sync.register\n",
        "mplogin.sync.re gister",
        "mplogin.sync.*",
        "mplogin.sync.#",
        "mpLogin.sync.register",
        "mp__login.sync.register",
        "mplogin_.sync.register",
        "mplögin.sync.register",
        "mplogin.sync.1st",
        "mp" + "x" * 62 + ".sync.register",
        "mplogin.sync." + "x" * 128,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        TaskName.parse(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint


@given(st.text())
def test_any_text_is_a_name_or_an_invalid_name(text: str) -> None:
    for check in (TaskName.parse, check_service, check_task):
        with contextlib.suppress(InvalidName):
            check(text)


@given(SERVICES, TASKS)
def test_derived_names_fit_in_a_short_string(service: str, task: str) -> None:
    assert len(str(TaskName.parse(f"{service}.async.{task}")).encode()) <= 255


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("login", "mplogin"),
        ("Login", "mplogin"),
        ("user-accounts", "mpuser_accounts"),
        ("mplogin", "mplogin"),
        ("-", ""),
    ],
)
def test_a_suggestion_for_what_was_typed(typed: str, meant: str) -> None:
    assert suggest_service(typed) == meant


def test_the_suggestion_is_in_the_hint() -> None:
    with pytest.raises(InvalidName) as caught:
        check_service("login")
    assert caught.value.hint == "did you mean mplogin?"


def test_another_prefix() -> None:
    assert TaskName.parse("acmelogin.sync.register", prefix="acme").service == "acmelogin"
    with pytest.raises(InvalidName):
        TaskName.parse("mplogin.sync.register", prefix="acme")
