"""Changing headers and properties in their bytes: what is not changed is copied, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import ProtocolError
from mpcli.wire.codec import Typed, decode_properties, encode_longstr, encode_properties, encode_shortstr, encode_value
from mpcli.wire.patch import Patch

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
