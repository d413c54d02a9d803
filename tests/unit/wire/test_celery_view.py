"""The Celery view, against what Celery and kombu themselves write."""

import json
import pickle
import zlib

import pytest
from celery import Celery, chain, group
from hypothesis import given
from hypothesis import strategies as st
from kombu.compression import compress
from kombu.serialization import dumps

from mpcli.recording.format import TASK
from mpcli.recording.reader import Reader
from mpcli.recording.writer import Writer
from mpcli.verbs.replay.arguments import Arguments
from mpcli.wire.body import MAX_BODY, Opaque, json_parts, opened, pickle_opcodes
from mpcli.wire.celery_view import CeleryView
from mpcli.wire.codec import Typed
from mpcli.wire.message import Message

NAME = "mplogin.sync.register"
app = Celery("tests", set_as_current=False)


@app.task(name=NAME)
def register(*args, **kwargs):
    """Never run."""


def message(sent, serializer="json", compression=None, properties=None) -> Message:
    """As kombu's producer would publish it."""
    content_type, content_encoding, body = dumps(sent.body, serializer)
    headers = dict(sent.headers)
    if compression:
        body, headers["compression"] = compress(body, compression)
    body = body if isinstance(body, bytes) else body.encode()
    plain_properties = {key: value for key, value in sent.properties.items() if value}
    return Message.build(
        "mplogin",
        NAME,
        {
            **plain_properties,
            **(properties or {}),
            "content_type": content_type,
            "content_encoding": content_encoding,
            "headers": headers,
        },
        body,
    )


def version_2(args=(1, "a"), kwargs=None, **options):
    return app.amqp.as_task_v2("id-1", NAME, args, kwargs or {"amount": 5}, root_id="root", parent_id="up", **options)


def version_1(args=(1, "a"), kwargs=None, **options):
    return app.amqp.as_task_v1("id-1", NAME, args, kwargs or {"amount": 5}, **options)


@pytest.mark.parametrize("compression", [None, "zlib", "bzip2", "lzma"])
@pytest.mark.parametrize(("sent", "protocol"), [(version_1, 1), (version_2, 2)])
def test_both_protocols_and_every_compression(sent, protocol, compression) -> None:
    view = CeleryView(message(sent(retries=2), compression=compression))
    assert (view.protocol, view.task, view.id, view.retries) == (protocol, NAME, "id-1", 2)
    assert (view.args, view.kwargs, view.opaque) == ([1, "a"], {"amount": 5}, "")


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml"])
@pytest.mark.parametrize("compression", [None, "zlib", "bzip2", "lzma"])
@pytest.mark.parametrize("sent", [version_1, version_2])
def test_a_recording_gives_back_the_bytes_that_celery_sent(tmp_path, sent, compression, serializer) -> None:
    original = message(sent(args=(1, "ü", None), retries=1, countdown=5), serializer, compression)
    with Writer(tmp_path / "file") as writer:
        writer.write_messages(TASK, "async", 1.0, [original])
    (entry,) = Reader(tmp_path / "file")
    assert entry.message == original
    assert entry.message.publish_frames(1, 4096) == original.publish_frames(1, 4096)
    ours, theirs = CeleryView(entry.message), CeleryView(original)
    assert (ours.task, ours.id, ours.args, ours.opaque) == (theirs.task, theirs.id, theirs.args, theirs.opaque)


def test_the_family_and_the_times() -> None:
    view = CeleryView(message(version_2(countdown=30, expires=60)))
    assert (view.field("root_id"), view.field("parent_id")) == ("root", "up")
    assert str(view.field("eta")).startswith("20")
    assert str(view.field("expires")).startswith("20")
    assert "@" in str(view.field("origin"))


def test_what_hangs_on_a_task_is_counted() -> None:
    rest = list(chain(register.s(2), register.s(3)).tasks)
    sent = version_2(chain=rest, callbacks=[register.s(4)], chord=group(register.s(5)))
    assert CeleryView(message(sent)).steps == {"chain": 2, "chord": 1, "callbacks": 1}
    assert CeleryView(message(version_2())).steps == {}


def test_header_types_do_not_reach_the_reader() -> None:
    view = CeleryView(
        Message.build("e", NAME, {"headers": {"task": NAME, "retries": Typed("s", 3), "eta": Typed("T", 17)}}, b"")
    )
    assert (view.retries, view.field("eta")) == (3, 17)


class Bomb:
    def __reduce__(self):
        return (print, ("a pickle was loaded",))


def test_a_pickle_is_shown_by_its_opcodes_and_never_loaded(capsys) -> None:
    sent = version_2(argsrepr="(1, 'a')", kwargsrepr="{}")
    body = pickle.dumps(((Bomb(),), {}, {}))
    picture = message(sent, "pickle")
    view = CeleryView(Message(picture.exchange, NAME, picture.raw_properties, body))
    assert (view.args, view.kwargs, view.task) == (None, None, NAME)
    assert "pickle" in view.opaque
    assert view.repr_of("argsrepr") == "(1, 'a')"
    lines = pickle_opcodes(view.data())
    assert any("REDUCE" in line for line in lines)
    assert any("a pickle was loaded" in line for line in lines)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content_type", "said"),
    [("application/x-yaml", "yaml"), ("application/x-msgpack", "msgpack"), (None, "no content type")],
)
def test_an_unknown_content_type_is_named(content_type, said) -> None:
    view = CeleryView(Message.build("e", NAME, {"content_type": content_type, "headers": {"task": NAME}}, b"a: 1"))
    assert view.args is None
    assert said in view.opaque
    assert view.data() == b"a: 1"


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[1, 2", b"[" * 100_000, b"9" * 5000, b'{"task": 1, "id": 2}', b"[1,2,3]", b"[[],[],[]]"]
)
def test_a_damaged_body_hurts_nobody(body) -> None:
    view = CeleryView(Message.build("e", NAME, {"content_type": "application/json"}, body))
    assert view.kwargs is None
    assert (view.task, view.protocol, view.embed, view.steps) == ("", 0, {}, {})


def test_damaged_properties_hurt_nobody() -> None:
    view = CeleryView(Message("e", NAME, b"\xff\xfc\x01", b"x"))
    assert "damaged" in view.opaque
    assert (view.task, view.id, view.args, view.retries, view.data()) == ("", "", None, 0, b"x")


def test_a_bomb_costs_no_more_than_the_limit() -> None:
    properties = {"content_type": "application/json", "headers": {"compression": "zlib"}}
    with pytest.raises(Opaque, match="too large"):
        opened(properties, zlib.compress(b"0" * 50_000_000), limit=1_000_000)
    assert opened(properties, zlib.compress(b"0" * 1000), limit=1000) == b"0" * 1000
    for name in ("zlib", "bzip2", "lzma"):
        with pytest.raises(Opaque, match="damaged"):
            opened({"headers": {"compression": name}}, b"no such format")
    with pytest.raises(Opaque, match="application/zstd"):
        opened({"headers": {"compression": "application/zstd"}}, b"...")
    with pytest.raises(Opaque, match="too large"):
        opened({}, bytes(MAX_BODY + 1))


@given(st.binary(max_size=400))
def test_no_bytes_make_the_opcode_list_fail(data) -> None:
    assert all(isinstance(line, str) for line in pickle_opcodes(data))


@given(st.binary(max_size=100), st.sampled_from(["application/json", "pickle", "text/plain"]), st.binary(min_size=2))
def test_no_message_makes_the_view_fail(body, content_type, raw) -> None:
    for looked_at in (Message.build("e", "k", {"content_type": content_type}, body), Message("e", "k", raw, body)):
        view = CeleryView(looked_at)
        shown = [view.task, view.id, view.args, view.kwargs, view.embed, view.steps, view.retries, view.data()]
        assert json.dumps(shown[:-1]) or shown


@pytest.mark.parametrize("depth", [90, 600, 100_000])
def test_what_is_nested_deeply_is_not_opened_beyond_what_can_be_shown(depth) -> None:
    deep = b"[[" + b"[" * depth + b"]" * depth + b'], {"a": {"b": 1}}, null]'
    wide = b"[[" + b"[]," * 999 + b'[]], {"a": {"b": 1}}, null]'
    for body, opens in ((deep, depth < 100), (wide, True)):
        sent = Message.build("mplogin", NAME, {"content_type": "application/json", "headers": {"task": NAME}}, body)
        view = CeleryView(sent)
        assert (view.kwargs, view.opaque) == (({"a": {"b": 1}}, "") if opens else (None, "JSON nested deeper than 100"))
        assert json_parts(body.decode()) is None or opens
        assert Arguments(view).opaque == view.opaque
