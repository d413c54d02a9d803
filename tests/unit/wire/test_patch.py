"""Changing headers and properties in their bytes: what is not changed is copied, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import ProtocolError
from mpcli.wire import layout
from mpcli.wire.codec import Typed, encode_longstr, encode_shortstr, encode_value
from mpcli.wire.patch import Patch
from mpcli.wire.properties import PROPERTIES, decode_properties, encode_properties

_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.binary(max_size=20),
        st.floats(allow_nan=False), st.builds(Typed, st.just("s"), st.integers(-(2**15), 2**15 - 1)),
        st.builds(Typed, st.just("T"), st.integers(0, 2**40)),
        st.builds(Typed, st.just("D"), st.tuples(st.integers(0, 9), st.integers(-9, 9))),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_tables = st.dictionaries(st.text(max_size=10), _values, max_size=6)


@given(_tables, _tables, st.sets(st.text(max_size=10), max_size=3))
def test_a_patch_is_what_decoding_and_encoding_would_give(headers, changes, removed) -> None:
    properties = {"content_type": "application/json", "headers": headers, "priority": 3, "correlation_id": "c"}
    raw = encode_properties(properties)
    patch = Patch(raw)
    assert patch.encode() is raw
    assert {name: patch.header(name) for name in patch.names()} == headers
    removed |= set(list(headers)[:1])
    for name in removed - changes.keys():
        patch.set_header(name, None, remove=True)
    for name, value in changes.items():
        patch.set_header(name, value)
    patch.set("correlation_id", None)
    patch.set("reply_to", "q")
    expected = {name: value for name, value in headers.items() if name not in removed - changes.keys()} | changes
    decoded, end = decode_properties(patch.encode())
    assert end == len(patch.encode())
    assert decoded == {"content_type": "application/json", "headers": expected, "priority": 3, "reply_to": "q"}
    assert (patch.property("priority"), patch.property("reply_to"), patch.property("user_id")) == (3, "q", None)


def _raw(*entries: tuple[str, object]) -> bytes:
    table = b"".join(encode_shortstr(name) + encode_value(value) for name, value in entries)
    return (0x2000).to_bytes(2, "big") + encode_longstr(table)


def test_a_key_that_stands_twice_is_kept_twice_and_changed_or_taken_away_as_one() -> None:
    raw = _raw(("a", 1), ("b", 2), ("a", 3), ("c", 4))
    patch = Patch(raw)
    assert patch.header("a") == 3
    patch.set_header("b", 5)
    assert patch.encode() == _raw(("a", 1), ("b", 5), ("a", 3), ("c", 4))
    patch.set_header("a", None, remove=True)
    assert patch.encode() == _raw(("b", 5), ("c", 4))


def test_headers_can_be_added_where_there_were_none() -> None:
    patch = Patch(encode_properties({"content_type": "x"}))
    patch.set_header("a", 1)
    assert decode_properties(patch.encode())[0] == {"content_type": "x", "headers": {"a": 1}}


@pytest.mark.parametrize("raw", [b"", b"\x20", b"\x20\x00\x00\x00\x00\x05a", b"\x80\x00\x09abc", b"\x00\x01"])
def test_bytes_that_are_no_properties(raw) -> None:
    with pytest.raises(ProtocolError):
        Patch(raw)


@given(st.binary(max_size=60))
def test_it_never_fails_otherwise(raw) -> None:
    try:
        patch = Patch(raw)
        patch.set_header("a", 1)
        patch.encode()
    except ProtocolError:
        pass


@given(_tables, _tables, st.data())
def test_a_layout_that_was_seen_before_finds_what_reading_anew_finds(headers, others, data) -> None:
    """Also where lengths and values differ, where only a name or a type does, and where bytes are damaged."""
    alike = {name: others.get(name, data.draw(_values)) for name in headers}
    messages = [encode_properties({"headers": table, "app_id": "a" * len(table)}) for table in (headers, alike, others)]
    damaged = bytearray(messages[1])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    messages += [bytes(damaged), messages[1][: data.draw(st.integers(0, len(messages[1])))], messages[0]]
    assert [_found(raw) for raw in messages] == [_found(raw, cold=True) for raw in messages]


def _found(raw: bytes, cold: bool = False) -> object:
    """Every place that a patch knows, and what it makes of the bytes."""
    if cold:
        layout._recent.clear()
    try:
        patch = Patch(raw)
        patch.set_header("one more", 1)
        patch.set("user_id", "u")
        values = {
            name: raw[patch._at(begin) : patch._at(end)] for name, (_, begin, _, end) in patch._layout.headers.items()
        }
        return values, [patch._part(name) for name, _ in PROPERTIES], patch.encode()
    except ProtocolError as error:
        return error.message
