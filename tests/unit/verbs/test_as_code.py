"""The code that a call is printed as says the same as the call."""

import ast
import json
import shlex
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import UsageError
from mpcli.verbs.as_code import as_code

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
    | st.dates() | st.datetimes() | st.times() | st.decimals(allow_nan=False, allow_infinity=False) | st.uuids()
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


class Recorder:
    """Takes a call as a Caller would, and remembers it."""

    def __init__(self):
        self.calls = []

    def with_options(self, **options):
        self.calls.append(options)
        return self

    def call(self, *args, **kwargs):
        self.calls.append((args, kwargs))


def said(code):
    """What a test that was printed does with its caller."""
    recorder = Recorder()
    names = {}
    exec(compile(code.replace("from mpcli.bus import Caller", "Caller = object"), "printed", "exec"), names)
    with pytest.raises(AssertionError):
        names["test_do"](recorder)  # until somebody says what the result should be
    return recorder.calls


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_python_gives_the_same_arguments(args, kwargs):
    code = as_code("pytest", "mpshop.sync.do", args, kwargs, start="/")
    assert said(code) == [(("mpshop.sync.do", *args), kwargs)]
    ast.parse(as_code("python", "mpshop.sync.do", args, kwargs, start="/"))


def test_typed_values_and_options():
    kwargs = {"day": date(2030, 1, 31), "price": Decimal("1.50"), "who": UUID(int=1), "class": 1, "ª": 2}
    code = as_code("pytest", "mpshop.sync.do", [], kwargs, {"timeout": 3.0}, start="/")
    assert said(code) == [{"timeout": 3.0}, (("mpshop.sync.do",), kwargs)]


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_curl_posts_json_that_a_shell_leaves_alone(kwargs):
    words = shlex.split(as_code("curl", "mpshop.sync.do", [], kwargs, start="/"))
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:8000/mpshop.sync.do"]
    assert json.loads(words[-1]).keys() == kwargs.keys()


def test_what_the_edge_has_no_place_for(monkeypatch):
    monkeypatch.setenv("MP_EDGE_URL", "https://edge.example/api/")
    assert " https://edge.example/api/mpshop.sync.do " in as_code("curl", "mpshop.sync.do", [], {}, start="/")
    with pytest.raises(UsageError, match="named arguments"):
        as_code("curl", "mpshop.sync.do", [1], {}, start="/")
    with pytest.raises(UsageError, match="no place for countdown"):
        as_code("curl", "mpshop.async.do", [], {}, {"countdown": 3}, start="/")
