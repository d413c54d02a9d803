"""A message stays what it was, whichever way it takes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcli.errors import ProtocolError
from mpcli.recording.format import DEAD, EVENT, TASK, Entry
from mpcli.recording.reader import Reader
from mpcli.recording.writer import Writer
from mpcli.wire.codec import Typed
from mpcli.wire.frames import CONTENT_START, FRAME_BODY, FRAME_HEADER, FrameSplitter
from mpcli.wire.message import Message, type_name
from mpcli.wire.methods import BASIC_PUBLISH
from mpcli.wire.properties import PROPERTIES, encode_properties

short_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    short_text,
    st.binary(max_size=40),
    st.builds(Typed, st.just("b"), st.integers(-128, 127)),
    st.builds(Typed, st.just("B"), st.integers(0, 255)),
    st.builds(Typed, st.just("s"), st.integers(-(2**15), 2**15 - 1)),
    st.builds(Typed, st.just("u"), st.integers(0, 2**16 - 1)),
    st.builds(Typed, st.just("i"), st.integers(0, 2**32 - 1)),
    st.builds(Typed, st.just("l"), st.integers(-(2**31), 2**31 - 1)),
    st.builds(Typed, st.just("f"), st.floats(width=32)),
    st.builds(Typed, st.just("T"), st.integers(0, 2**64 - 1)),
    st.builds(Typed, st.just("D"), st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1))),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
KINDS = {
    "s": names,
    "F": st.dictionaries(names, values, max_size=8),
    "o": st.integers(0, 255),
    "T": st.integers(0, 2**64 - 1),
}
properties = st.fixed_dictionaries({}, optional={name: KINDS[kind] for name, kind in PROPERTIES})
# What our codec writes, and what it never would: bytes that only have to be copied.
raw_properties = st.one_of(properties.map(encode_properties), st.binary(min_size=2, max_size=200))
bodies = st.one_of(st.binary(max_size=300), short_text.map(str.encode), st.just(b"[[], {}, {}]\n"))
messages = st.builds(Message, names, names, raw_properties, bodies, st.booleans())


def from_frames(data: bytes) -> Message:
    """What a broker would understand."""
    (_, _, method), (kind, _, header), *rest = FrameSplitter().feed(data)
    assert kind == FRAME_HEADER
    assert all(kind == FRAME_BODY for kind, _, _ in rest)
    exchange, key, mandatory, immediate = BASIC_PUBLISH.decode(method)
    assert (mandatory, immediate) == (True, False)
    body = b"".join(payload for _, _, payload in rest)
    assert CONTENT_START.unpack_from(header) == (60, 0, len(body))
    return Message(str(exchange), str(key), header[CONTENT_START.size :], body)


@settings(deadline=None, max_examples=300)
@given(
    recorded=st.lists(st.tuples(st.sampled_from([TASK, EVENT, DEAD]), st.sampled_from(["sync", "async"]), messages)),
    frame_max=st.sampled_from([0, 4096, 131072, 40]),
)
def test_memory_file_memory_wire_wire(tmp_path_factory, recorded, frame_max) -> None:
    path: Path = tmp_path_factory.mktemp("recording") / "messages"
    with Writer(path) as writer:
        writer.write([Entry(kind, 1.5 + at, broker, message) for at, (kind, broker, message) in enumerate(recorded)])
        for kind, broker, message in recorded:
            writer.write_messages(kind, broker, 2.0, [message])
    reader = Reader(path)
    read = list(reader)
    assert not reader.damaged
    assert not reader.torn
    twice = recorded * 2
    assert [(entry.kind, entry.broker, entry.message) for entry in read] == twice
    assert [entry.message.redelivered for entry in read] == [message.redelivered for _, _, message in twice]
    assert [entry.at for entry in read[: len(recorded)]] == [1.5 + at for at in range(len(recorded))]
    for entry in read:
        first = entry.message.publish_frames(1, frame_max)
        arrived = from_frames(first)
        assert arrived == entry.message
        assert arrived.publish_frames(1, frame_max) == first


@given(properties)
def test_properties_decode_to_what_was_encoded(given_properties) -> None:
    message = Message.build("e", "k", given_properties, b"")
    assert encode_properties(message.properties) == message.raw_properties
    assert message.changed(exchange="other").raw_properties == message.raw_properties


def test_a_change_touches_nothing_else() -> None:
    headers = {"retries": Typed("s", 3), "eta": None, "at": Typed("T", 1700000000), "price": Typed("D", (2, 314))}
    message = Message.build("e", "k", {"headers": headers, "reply_to": "me", "priority": 0}, b"body")
    changed = message.changed(reply_to=None, correlation_id="new", routing_key="other")
    assert changed.properties == {"headers": headers, "priority": 0, "correlation_id": "new"}
    assert changed.headers["retries"] == Typed("s", 3)
    assert (changed.exchange, changed.routing_key, changed.body) == ("e", "other", b"body")
    assert message.properties["reply_to"] == "me"


def test_damaged_properties_are_told_when_they_are_looked_at_and_still_copied() -> None:
    message = Message("e", "k", b"\xff\xff\x00", b"")
    with pytest.raises(ProtocolError):
        _ = message.properties
    assert from_frames(message.publish_frames(1, 0)) == message


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "int32"),
        (2**40, "int64"),
        (True, "bool"),
        (Typed("s", 1), "int16"),
        (Typed("T", 1), "timestamp"),
        (1.0, "double"),
        ("", "string"),
        (b"", "bytes"),
        ({}, "table"),
        ([], "array"),
        (None, "null"),
    ],
)
def test_type_names(value, name) -> None:
    assert type_name(value) == name
