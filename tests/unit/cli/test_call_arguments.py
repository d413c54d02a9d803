import contextlib
import os
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.cli.arguments import CallOptions, build_request, parse_item, peek_stdin, read_stdin
from mpcli.errors import UsageError


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("email=a@b.c", ("email", "a@b.c")),
        ("age:=3", ("age", 3)),
        ('user_obj:={"email": "a@b.c"}', ("user_obj", {"email": "a@b.c"})),
        ("empty=", ("empty", "")),
        ("q=a:=b", ("q", "a:=b")),
        ("url=http://x/?a=b", ("url", "http://x/?a=b")),
        ("note=\\@home", ("note", "@home")),
        ("path=C:\\new\\=x", ("path", "C:\\new\\=x")),
        ("a\\=b=c", ("a=b", "c")),
        ("a\\:=c", ("a:", "c")),
        ("a\\b=c", ("a\\b", "c")),
        ("none:=null", ("none", None)),
        ("many:=[1, 2.5, true]", ("many", [1, 2.5, True])),
    ],
)
def test_items_are_read_as_httpie_writes_them(item, expected):
    assert parse_item(item) == expected


@pytest.mark.parametrize(
    "item", ["", "x", "=x", ":=3", "a:=", "a:=nope", "a:=NaN", "a:=[", "a:=1 2", "a:=" + "[" * 99999]
)
def test_what_is_no_item_is_refused(item):
    with pytest.raises(UsageError):
        parse_item(item)


def test_files_give_text_or_json(tmp_path):
    (tmp_path / "a.json").write_text('\ufeff{"x": [1]}')
    (tmp_path / "a.txt").write_text("two\nlines\n")
    assert parse_item(f"body:=@{tmp_path}/a.json") == ("body", {"x": [1]})
    assert parse_item(f"note=@{tmp_path}/a.txt") == ("note", "two\nlines\n")


def test_the_error_of_a_file_names_it(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary"):
        with pytest.raises(UsageError, match=name):
            parse_item(f"note=@{tmp_path}/{name}")


def test_arguments_come_together_and_none_twice():
    request = build_request("t", ["a=1", "b:=2"], "[1, null]", '{"c": 3}', CallOptions())
    assert (request.args, request.kwargs) == ([1, None], {"a": "1", "b": 2, "c": 3})
    for items, kwargs in ((["a=1", "a=2"], None), (["a=1"], '{"a": 2}')):
        with pytest.raises(UsageError, match="'a' is given twice"):
            build_request("t", items, None, kwargs, CallOptions())


@pytest.mark.parametrize(("args", "kwargs"), [("{}", None), ("3", None), ("", None), (None, "[]"), (None, "x")])
def test_the_json_options_must_hold_what_they_are_for(args, kwargs):
    with pytest.raises(UsageError, match=r"--(kw)?args"):
        build_request("t", [], args, kwargs, CallOptions())


@given(st.text(max_size=40))
def test_no_item_ends_in_anything_but_a_value_or_a_usage_error(item):
    if "=@" in item.replace("\\", ""):
        return  # would read files
    with suppress(UsageError):
        assert parse_item(item)[0]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.text(max_size=20).filter(lambda t: t[:1] != "@" and t[:2] != "\\@"),
    )
)
def test_every_text_arrives_as_it_was_typed(kwargs):
    items = [f"{key}={text}" for key, text in kwargs.items()] or ["x=1"]
    assert build_request("t", items, None, None, CallOptions()).kwargs == (kwargs or {"x": "1"})


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_silent_open_pipe_is_not_waited_for(pipe):
    assert peek_stdin(pipe[0]) == ""


def test_what_was_piped_is_read_to_its_end(pipe):
    def write():
        os.write(pipe[1], b'{"a"')
        os.write(pipe[1], b": 1}\n")
        os.close(pipe[1])

    writer = threading.Thread(target=write)
    writer.start()
    assert peek_stdin(pipe[0]) == '{"a": 1}'
    writer.join()


def test_an_empty_pipe_a_device_and_a_closed_stdin_hold_nothing(pipe):
    os.close(pipe[1])
    assert peek_stdin(pipe[0]) == ""
    with open(os.devnull) as null:
        assert peek_stdin(null.fileno()) == ""
    assert peek_stdin(987) == ""


def test_a_file_is_read(tmp_path):
    (tmp_path / "in").write_text("[1]")
    with open(tmp_path / "in") as file:
        assert peek_stdin(file.fileno()) == "[1]"
    with open(tmp_path / "in") as file:
        assert read_stdin(file.fileno()) == "[1]"
