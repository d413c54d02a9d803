"""Our rules for JSON against kombu's own."""

import contextlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from mpcli.errors import EncodingFailed
from mpcli.wire.celery_json import dumps, encode_arguments, loads

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TYPED = st.datetimes() | st.dates() | st.times() | st.decimals(allow_nan=False) | st.uuids() | st.binary()
VALUES = st.recursive(PLAIN | TYPED, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(VALUES.filter(lambda value: not (isinstance(value, dict) and "__type__" in value)))
def test_kombu_reads_what_we_write_and_we_read_what_kombu_writes(value):
    assert kombu_json.loads(dumps(value)) == value
    assert loads(kombu_json.dumps(value)) == value


def test_every_typed_value_comes_back_as_itself():
    values = [
        datetime(2026, 1, 2, 3, tzinfo=UTC),
        date(2026, 1, 2),
        time(1, 2),
        Decimal("1.50"),
        UUID(int=7),
        b"a",
        b"\xff",
    ]
    assert loads(dumps(values)) == values


@pytest.mark.parametrize(("value", "kind"), [({1, 2}, "set"), (object(), "object"), ({"deep": [print]}, "dict")])
def test_the_error_names_the_argument(value, kind):
    with pytest.raises(EncodingFailed, match=rf"user_obj \({kind}\)"):
        encode_arguments("mplogin.sync.x", [1], {"ok": 1, "user_obj": value})
    with pytest.raises(EncodingFailed, match=rf"argument 2 \({kind}\)"):
        encode_arguments("mplogin.sync.x", [1, value], {})


def test_a_mark_that_would_make_a_worker_drop_the_message_is_refused():
    for mark in ("nope", 3, None):
        with pytest.raises(EncodingFailed, match="user_obj"):
            encode_arguments("t", [], {"user_obj": [{"__type__": mark, "__value__": "x"}]})
    with pytest.raises(EncodingFailed):
        encode_arguments("t", [], {"d": {"__type__": "datetime", "__value__": "yesterday"}})
    assert b"2026" in encode_arguments("t", [], {"d": {"__type__": "date", "__value__": "2026-01-02"}})


@given(st.text())
def test_what_came_from_a_broker_raises_no_more_than_value_errors(text):
    with contextlib.suppress(ValueError, RecursionError):
        loads(text)


def test_a_mark_of_another_tool_stays_as_it_came():
    assert loads('{"__type__": "money", "__value__": 3}') == {"__type__": "money", "__value__": 3}
