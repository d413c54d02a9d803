"""A line that is put together from what came says what the mapping of the message says, and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcli.render.json_lines import Json
from mpcli.render.message import dumps, message_as_dict
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import Typed
from mpcli.wire.message import Message

TASK = "mplogin.sync.register"
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

words = st.one_of(
    st.sampled_from(["", "password", "amount", "api_key", "a\x1b]0;owned\x07", "amqp://mp:pw@host/", "\u202e", "\x7f"]),
    st.text(max_size=10),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), words)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
)
encodings = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
fields = st.one_of(st.none(), words, st.integers(-9, 9), st.just(True), st.just(Typed("T", 17)), st.just([1]))
headers = st.fixed_dictionaries(
    {"task": st.one_of(st.just(TASK), words, st.none()), "id": fields},
    optional={
        **dict.fromkeys(("root_id", "parent_id", "retries", "eta", "expires", "origin", "argsrepr"), fields),
        "compression": st.sampled_from(["", "gzip", "unknown"]),
    },
)


@st.composite
def messages(draw) -> Message:
    embed = draw(st.one_of(st.just(EMBED), st.just({**EMBED, "chain": [1]}), values))
    parts = [draw(st.lists(values, max_size=3)), draw(st.dictionaries(words, values, max_size=3)), embed]
    body = json.dumps(draw(st.one_of(st.just(parts), values)), **draw(encodings)).encode("utf-8", "surrogatepass")
    body = draw(st.one_of(st.just(body), st.just(body[:-1]), st.just(b" " + body), st.just(b"[[NaN], {}, {}]")))
    content_type = draw(st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", ""]))
    properties = {"content_type": content_type, "headers": draw(headers), "correlation_id": draw(words)}
    return Message.build("mplogin", draw(words), properties, body)


@settings(deadline=None, max_examples=400)
@given(messages(), st.sampled_from([{}, {TASK: ["password", "amount"]}, {TASK: ["amount"]}]))
def test_it_says_what_the_mapping_says(message, parameters) -> None:
    screen = Json(full=False)
    screen.parameters = parameters
    seen = Seen("task", "sync", 1767276202.5, message)
    line = screen.item(seen)
    assert line == screen.item(Seen("task", "sync", 1767276202.5, message))
    assert line.endswith("\n")
    assert all(" " <= char <= "~" for char in line[:-1])
    expected = message_as_dict(Seen("task", "sync", 1767276202.5, message), parameters)
    assert json.loads(line) == json.loads(dumps(expected))
    assert list(json.loads(line)) == list(expected)


def usual(body: bytes, **more: object) -> Seen:
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": {"task": TASK, "id": "1"}}
    return Seen("task", "sync", 1.0, Message.build("mplogin", TASK, {**properties, **more}, body))


def test_the_usual_message_is_copied() -> None:
    body = b'[["a@b.c",1.50],{"amount": 5e0},{"callbacks": null}]'
    line = Json(full=False).item(usual(body))
    assert '"args": ["a@b.c",1.50], "kwargs": {"amount": 5e0}, "retries": 0' in line


@pytest.mark.parametrize(
    "body",
    [
        b'[[], {"pass\\u0077ord": "hunter2"}, {}]',
        b'[[{"deep": [{"API_KEY": "hunter2"}]}], {}, {}]',
        b'[[], {"a": {"password": "hunter2"}, "a": 1}, {}]',
        b'[["amqp:\\/\\/mp:hunter2@host"], {}, {}]',
        b'[["amqp\\u003a//mp:hunter2@host"], {}, {}]',
    ],
)
def test_a_secret_is_hidden_however_it_is_written(body) -> None:
    assert "hunter2" not in Json(full=False).item(usual(body))


def test_what_is_no_json_or_no_line_is_never_copied() -> None:
    for body in (b"[[1,\n2], {}, {}]", b"[[NaN], {}, {}]", b'[["\x7f"], {}, {}]', b'[["\xc2\x9b"], {}, {}]'):
        line = Json(full=False).item(usual(body))
        assert all(" " <= char <= "~" for char in line[:-1])
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_time_and_route_are_those_of_each_message() -> None:
    screen = Json(full=False)
    first, other = usual(b"[[], {}, {}]"), usual(b"[[], {}, {}]")
    other.at, other.broker = 2.0, "async"
    other.message.exchange = "mpwallet"
    lines = [json.loads(screen.item(seen)) for seen in (first, other, first)]
    assert [(line["at"][17:20], line["broker"], line["exchange"]) for line in lines] == [
        ("01.", "sync", "mplogin"),
        ("02.", "async", "mpwallet"),
        ("01.", "sync", "mplogin"),
    ]
