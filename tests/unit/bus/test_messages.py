import json

import pytest

from mpcli.bus.headers import task_headers
from mpcli.bus.messages import encode_body, is_final, read_reply
from mpcli.bus.naming import TaskName
from mpcli.errors import EncodingFailed, NoReply, RemoteError, UnknownTask

ADD = TaskName.parse("mplogin.sync.add")


def reply(**fields):
    return json.dumps(fields)


def failure(type_name, words, traceback=None):
    return reply(status="FAILURE", result={"exc_type": type_name, "exc_message": words}, traceback=traceback)


def test_a_result():
    assert read_reply(ADD, "application/json", reply(status="SUCCESS", result={"a": [1]})) == {"a": [1]}


@pytest.mark.parametrize(
    ("words", "text"), [(["no"], "no"), ("no", "no"), ([], ""), (["a", 2], "a, 2"), (None, ""), ({"x": 1}, "{'x': 1}")]
)
def test_a_remote_error_is_text(words, text):
    with pytest.raises(RemoteError) as caught:
        read_reply(ADD, "application/json", failure("ValueError", words, "Traceback ..."))
    assert (caught.value.type_name, caught.value.text) == ("ValueError", text)
    assert caught.value.traceback == "Traceback ..."


def test_celerys_wrapper_is_taken_off():
    words = ["services", "OddError", ["7", "just so"], "OddError('odd 7')"]
    with pytest.raises(RemoteError) as caught:
        read_reply(ADD, "application/json", failure("UnpickleableExceptionWrapper", words))
    assert (caught.value.type_name, caught.value.text) == ("OddError", "OddError('odd 7')")


def test_an_unknown_task_and_a_task_that_meets_one():
    with pytest.raises(UnknownTask):
        read_reply(ADD, "application/json", failure("NotRegistered", ["mplogin.sync.add"]))
    with pytest.raises(RemoteError):
        read_reply(ADD, "application/json", failure("NotRegistered", ["mpother.sync.add"]))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-python-serialize", b"\x80\x04N."),
        ("", "{}"),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{}"),
        ("application/json", '"SUCCESS"'),
        ("application/json", '{"status": "REVOKED", "result": null}'),
    ],
)
def test_what_is_no_answer(content_type, body):
    with pytest.raises(NoReply):
        read_reply(ADD, content_type, body)


def test_interim_messages_are_told_from_final_ones():
    assert not is_final(reply(status="STARTED", result=None))
    assert not is_final(reply(status="RETRY", result=None))
    assert is_final(reply(status="SUCCESS", result="STARTED"))
    assert is_final(b'\xff"STARTED"')
    assert is_final("not json")


def test_the_argument_that_cannot_be_sent_is_named():
    for args, kwargs, path in (
        ((1, {2}), {}, r"argument 2 \(set\)"),
        ((), {"user": {"tags": ["a", object()]}}, r"user\['tags'\]\[1\] \(object\)"),
        ((), {"user": {(1, 2): 3}}, r"user \(dict\)"),
    ):
        with pytest.raises(EncodingFailed, match=path):
            encode_body("mplogin.sync.add", args, kwargs)


def test_an_argument_that_holds_itself():
    ring: list[object] = []
    ring.append(ring)
    with pytest.raises(EncodingFailed, match="ring"):
        encode_body("mplogin.sync.add", (), {"ring": ring})


def test_secrets_are_masked_in_what_workers_log():
    kwargs = {"user": {"password": "hunter2", "name": "a"}, "api_key": "k-123"}
    headers = task_headers("mplogin.sync.login", "id", (), kwargs, encode_body("x", (), kwargs), origin="mp1@vm")
    assert "hunter2" not in str(headers)
    assert "k-123" not in str(headers)
    assert "'name': 'a'" in headers["kwargsrepr"]
    assert kwargs["user"]["password"] == "hunter2"


def test_long_arguments_are_cut_in_headers():
    headers = task_headers("mplogin.sync.add", "id", ("x" * 10_000,), {}, "", origin="mp1@vm")
    assert len(headers["argsrepr"]) == 1024
