"""Checking a table without decoding it says the same as decoding it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import ProtocolError
from mpcli.wire.codec import MAX_DEPTH, Typed, Value, decode_table, encode_table
from mpcli.wire.table_check import check_table

plain = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=3)),
    st.binary(max_size=3),
    st.sampled_from([Typed(tag, 1) for tag in "bBsuIilLfdT"] + [Typed("D", (1, 2)), Typed("S", b"\xff")]),
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(st.text(max_size=3), values, max_size=4).map(encode_table)
letters = st.one_of(st.sampled_from(b"FASxtVDL\x00\x01\x02\xff"), st.integers(0, 255))


def end_of(read, data: bytes) -> int | None:
    try:
        end = read(data)
    except ProtocolError:
        return None
    return end if isinstance(end, int) else end[1]


@given(tables, st.lists(st.tuples(st.integers(0, 80), letters), max_size=3), st.binary(max_size=3))
def test_a_damaged_table_is_found_where_decoding_finds_it(table: bytes, damage: list[tuple[int, int]], tail: bytes):
    data = bytearray(table)
    for position, byte in damage:
        if position < len(data):
            data[position] = byte
    whole = bytes(data) + tail
    assert end_of(check_table, whole) == end_of(decode_table, whole)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 2])
def test_too_deep_is_too_deep(depth: int) -> None:
    nested: Value = {"a": 1}
    for _ in range(depth):
        nested = {"a": nested}
    data = encode_table(nested)
    assert end_of(check_table, data) == end_of(decode_table, data) == (len(data) if depth <= MAX_DEPTH else None)
