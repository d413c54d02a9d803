"""`--where` and the patterns: what they let through, and what they refuse before anything happens."""

import json

import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import InvalidName, NotFound, UsageError
from mpcli.verbs.seen import Seen, task_of
from mpcli.verbs.selection import Selection
from mpcli.verbs.where import Where
from mpcli.wire.message import Message


def seen(kwargs=None, args=(), **headers) -> Seen:
    headers = {"task": "mplogin.sync.register", "id": "id-1", "retries": 0, **headers}
    properties = {"content_type": "application/json", "headers": headers}
    body = json.dumps([args, kwargs or {}, {}]).encode()
    return Seen("task", "sync", 1.0, Message.build("mplogin", "mplogin.sync.register", properties, body))


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ('task == "mplogin.sync.register" and kwargs["amount"] > 100', True),
        ("kwargs['amount'] > 101", False),
        ("args == ['a', 1]", True),
        ("any(word == 'a' for word in args)", True),
        ("[n for n in args if isinstance(n, int) and n == retries + 1]", True),
        ("re.search('reg', task) and broker == 'sync' and not dead", True),
        ("(lambda limit: size > limit)(3)", True),
        ("headers['retries'] == 0 and properties['content_type'].endswith('json')", True),
        ("id in ('id-1', 'id-2') and service == 'mplogin'", True),
        ("eta is None and root is None", True),
    ],
)
def test_an_expression_sees_the_message(expression, matches) -> None:
    assert Where(expression)(seen({"amount": 101}, ("a", 1))) is matches


def test_a_message_without_the_field_is_left_out_and_counted() -> None:
    where = Where("kwargs['amount'] > 100")
    assert not where(seen())
    assert not where(seen({"amount": "much"}))
    assert where.failures == 2
    assert "TypeError" in where.failure


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "kwargs[",
        "import os",
        "x = 1",
        "amount > 1",
        "open('/etc/passwd')",
        "__import__('os')",
        "eval('1')",
        "\0",
        "(" * 500,
    ],
)
def test_what_is_no_expression_on_a_message_is_refused(expression) -> None:
    with pytest.raises(UsageError):
        Where(expression)


KNOWN = ["mplogin", "mpwallet"]


@pytest.mark.parametrize(
    ("patterns", "services", "wanted", "unwanted"),
    [
        ([], KNOWN, ["mplogin.sync.x", "mpwallet.async.y"], []),
        (["mplogin"], ["mplogin"], ["mplogin.sync.x"], ["mpwallet.sync.x", "mplogin2.sync.x"]),
        (["mplogin.sync"], ["mplogin"], ["mplogin.sync.x"], ["mplogin.async.x"]),
        (["mplogin.sync.re*"], ["mplogin"], ["mplogin.sync.register"], ["mplogin.sync.login"]),
        (["mp*.async"], KNOWN, ["mpwallet.async.x"], ["mpwallet.sync.x"]),
        (["regis"], KNOWN, ["mplogin.sync.register"], ["mplogin.sync.login"]),
        (["mplogin.sync.a", "mpwallet"], KNOWN, ["mplogin.sync.a", "mpwallet.sync.b"], ["mplogin.sync.b"]),
        (["mpother.sync.x"], ["mpother"], ["mpother.sync.x"], ["mpother.sync.y"]),
    ],
)
def test_patterns(patterns, services, wanted, unwanted) -> None:
    selection = Selection(patterns, "mp", KNOWN)
    assert selection.services == services
    assert all(map(selection.wants, wanted))
    assert not any(map(selection.wants, unwanted))


def test_patterns_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="no service is known"):
        Selection([], "mp", [])
    with pytest.raises(NotFound):
        Selection(["mpx*"], "mp", KNOWN)
    with pytest.raises(InvalidName):
        Selection(["mpLogin"], "mp", KNOWN)


def test_a_tap_is_bound_to_no_more_than_is_asked_for() -> None:
    selection = Selection(["mplogin.sync", "mpwallet"], "mp", KNOWN)
    bound = {source.exchange: source.patterns for source in selection.sources(Mode.SYNC)}
    assert bound == {"mplogin": ("#.mplogin.sync.#",), "mpwallet": ("#",), "celeryev": ("task.#",)}
    assert "mpwallet.dead" in {source.exchange for source in selection.sources(Mode.ASYNC)}


@pytest.mark.parametrize(
    ("patterns", "everything"),
    [
        ([], True),
        (["mplogin", "mpwallet.sync"], True),
        (["mp*.async"], True),
        (["mplogin.*"], False),
        (["mplogin.sync.x"], False),
        (["mplogin", "mpwallet.sync.x*"], False),
        (["regis"], False),
        (["*.sync.x"], False),
    ],
)
def test_messages_are_only_looked_at_where_the_bindings_are_too_wide(patterns, everything) -> None:
    assert Selection(patterns, "mp", KNOWN).everything is everything


def test_a_tap_of_sync_tasks_does_not_see_the_dead_letters_of_the_others() -> None:
    assert {source.exchange for source in Selection(["mplogin.sync"], "mp", KNOWN).sources(Mode.ASYNC)} == {
        "mplogin",
        "celeryev",
    }


def test_the_task_of_a_routing_key() -> None:
    assert task_of("mplogin.async.mail") == "mplogin.async.mail"
    assert task_of("0.0.1.0.mplogin.async.mail") == "mplogin.async.mail"
    assert task_of("something.else.altogether") == "something.else.altogether"
