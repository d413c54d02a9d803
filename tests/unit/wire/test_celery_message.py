import json
import uuid
import zlib

import pytest

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError, NoReply, RemoteError, UnknownTask
from mpcli.wire.celery_message import Pending, async_message, new_id, read_reply, sync_message
from mpcli.wire.properties import decode_properties, encode_properties

NAME = TaskName.parse("mplogin.sync.register")


def reply(status="SUCCESS", result=None, **more):
    return json.dumps({"status": status, "result": result, "traceback": None, "task_id": "i", **more}).encode()


def read(body, **properties):
    return read_reply(NAME, "i", {"content_type": "application/json", "correlation_id": "i", **properties}, body)


def test_ids_are_uuids_of_version_4():
    made = {new_id() for _ in range(200)}
    assert len(made) == 200
    assert all(str(uuid.UUID(one)) == one and uuid.UUID(one).version == 4 for one in made)


def test_a_sync_call_is_transient_and_expires_with_its_caller():
    message = sync_message(str(NAME), [1], {"a": 2}, "reply", 2.5)
    assert json.loads(message.body)[:2] == [[1], {"a": 2}]
    assert (message.properties["delivery_mode"], message.properties["expiration"]) == (1, "2500")
    assert message.properties["correlation_id"] == message.id
    assert message.properties["headers"]["ignore_result"] is False
    assert decode_properties(encode_properties(message.properties))[0]["headers"]["argsrepr"] == "(1,)"


def test_an_async_task_is_persistent_and_wants_no_reply():
    message = async_message("mplogin.async.mail", [], {})
    assert message.properties["delivery_mode"] == 2
    assert "reply_to" not in message.properties
    assert "expiration" not in message.properties
    assert message.properties["headers"]["ignore_result"] is True


def test_texts_for_events_are_cut_and_hold_no_secrets():
    headers = async_message("t", ["x" * 5000], {"user": {"password": "geheim"}}).properties["headers"]
    assert len(headers["argsrepr"]) == 1024
    assert "geheim" not in headers["kwargsrepr"]


def test_results_are_read():
    assert read(reply(result={"a": [1]})) == {"a": [1]}
    assert read(zlib.compress(reply(result=3)), headers={"compression": "application/x-gzip"}) == 3


@pytest.mark.parametrize("status", ["STARTED", "RETRY", "PROGRESS", "PENDING", "RECEIVED", "MY_OWN"])
def test_interim_replies_are_waited_past(status):
    with pytest.raises(Pending):
        read(reply(status))


def test_somebody_elses_reply_is_waited_past():
    with pytest.raises(Pending):
        read(reply(), correlation_id="other")


def test_a_failure_carries_type_message_and_traceback():
    body = reply(
        "FAILURE", {"exc_type": "ValueError", "exc_message": ["no", 3], "exc_module": "builtins"}, traceback="T"
    )
    with pytest.raises(RemoteError) as caught:
        read(body)
    assert (caught.value.type_name, caught.value.text, caught.value.traceback) == ("ValueError", "no, 3", "T")


def test_an_unregistered_task_is_unknown_but_not_one_that_raises_so_itself():
    with pytest.raises(UnknownTask):
        read(reply("FAILURE", {"exc_type": "NotRegistered", "exc_message": [str(NAME)]}))
    with pytest.raises(RemoteError):
        read(reply("FAILURE", {"exc_type": "NotRegistered", "exc_message": ["mpother.sync.x"]}))


def test_a_pickle_is_never_loaded():
    with pytest.raises(NoReply, match=r"pickle.*never loaded"):
        read(b"\x80\x04cos\nsystem\n", content_type="application/x-python-serialize")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff", b"null", b'{"status": 3}', b"[" * 100000])
def test_what_is_no_result_is_said_to_be_none(body):
    with pytest.raises(NoReply):
        read(body)


@pytest.mark.parametrize("result", [None, [], "text", {"exc_type": None}, {"exc_message": {"a": 1}}])
def test_an_odd_failure_is_still_a_failure(result):
    with pytest.raises(MpError):
        read(reply("FAILURE", result))


def test_arguments_that_the_running_version_does_not_take_are_told_as_such():
    told = {"exc_type": "TypeError", "exc_message": ["register() got an unexpected keyword argument 'age'"]}
    with pytest.raises(RemoteError) as raised:
        read(reply("FAILURE", told, traceback="Traceback ..."))
    assert "mp describe mplogin.sync.register" in raised.value.hint
