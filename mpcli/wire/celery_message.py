"""Celery's messages, written and read without Celery: task messages of protocol 2, results of the rpc:// backend.

Source: https://docs.celeryq.dev/en/stable/internals/protocol.html and what Celery 5 puts on the wire. Content is JSON
both ways: a pickle is never loaded, an exception's class never imported.
"""

from __future__ import annotations

import os
from time import time

from mpcli.bus.headers import BUDGET_HEADER, SENT_HEADER, task_headers
from mpcli.bus.naming import TaskName
from mpcli.errors import NoReply, RemoteError, UnknownTask
from mpcli.wire.celery_json import encode_arguments, loads
from mpcli.wire.properties import Properties

JSON = "application/json"
TRANSIENT, PERSISTENT = 1, 2
_FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})


class TaskMessage:
    """A task to be published: its id, properties and body; `route` are the exchange and the routing key, where they are
    not those of its name."""

    __slots__ = ("body", "id", "properties", "route")

    def __init__(self, task_id: str, properties: Properties, body: bytes) -> None:
        self.id = task_id
        self.properties = properties
        self.body = body
        self.route: tuple[str, str] | None = None


def new_id() -> str:
    """A random UUID, version 4 (RFC 9562); the `uuid` module would cost the hot path 4 ms."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def sync_message(
    name: str, args: list[object], kwargs: dict[str, object], reply_to: str, patience: float
) -> TaskMessage:
    """A call: transient, and gone from its queue when the caller's patience (seconds) is over.

    Raises `EncodingFailed`.
    """
    body = encode_arguments(name, args, kwargs)
    task_id = new_id()
    headers = task_headers(name, task_id, args, kwargs, body.decode(), origin=origin())
    headers |= {BUDGET_HEADER: float(patience), SENT_HEADER: time()}
    properties = _properties(task_id, headers, TRANSIENT)
    properties |= {"reply_to": reply_to, "expiration": str(max(1, round(patience * 1000)))}
    return TaskMessage(task_id, properties, body)


def async_message(
    name: str, args: list[object], kwargs: dict[str, object], more: dict[str, object] | None = None
) -> TaskMessage:
    """A task to be done some time: persistent, no reply; `more` are headers, such as `eta`. Raises `EncodingFailed`."""
    body = encode_arguments(name, args, kwargs)
    task_id = new_id()
    ours = {"ignore_result": True} | (more or {})
    headers = task_headers(name, task_id, args, kwargs, body.decode(), origin=origin(), **ours)
    return TaskMessage(task_id, _properties(task_id, headers, PERSISTENT), body)


def _properties(task_id: str, headers: dict[str, object], delivery_mode: int) -> Properties:
    return {
        "content_type": JSON,
        "content_encoding": "utf-8",
        "headers": headers,
        "delivery_mode": delivery_mode,
        "priority": 0,
        "correlation_id": task_id,
    }


def origin() -> str:
    """Who sends: this process, on this machine. In the form of Celery's `origin`; `socket` would cost a call 2 ms."""
    return f"mp{os.getpid()}@{os.uname().nodename}"


class Pending(Exception):
    """The reply is an interim one, or somebody else's: wait on."""


def read_reply(name: TaskName, task_id: str, properties: Properties, body: bytes) -> object:
    """The result in a reply to the task `task_id`.

    Raises `Pending` for a reply that is not the last one or not ours, `RemoteError` when the task raised, `UnknownTask`
    when the worker knows no such task, `NoReply` when the task was revoked or its answer cannot be read.
    """
    if properties.get("correlation_id") != task_id:
        raise Pending
    reply = _opened(name, properties, body)
    status, result = reply["status"], reply.get("result")
    if status not in _FINAL:
        raise Pending
    if status == "SUCCESS":
        return result
    if status == "REVOKED":
        error = NoReply(f"{name} was revoked, or expired, before a worker could begin it: it did not run")
        # Celery's reason, the one argument of its TaskRevokedError: revoked, expired, or terminated while it ran.
        error.never_ran = isinstance(result, dict) and result.get("exc_message") in (["revoked"], ["expired"])
        raise error
    raise _failure(name, result, str(reply.get("traceback") or ""))


def _opened(name: TaskName, properties: Properties, body: bytes) -> dict[str, object]:
    content_type = str(properties.get("content_type") or "")
    if content_type.partition(";")[0].strip().lower() not in (JSON, "json"):
        kind = "pickle" if "python-serialize" in content_type or "pickle" in content_type else content_type
        raise NoReply(
            f"{name} ran and answered in {kind or 'no content type'}, which is not JSON: it is never loaded",
            "the service must set result_serializer to json",
        )
    try:
        reply = loads(_decompressed(properties, body))
    except (ValueError, RecursionError) as error:
        raise NoReply(f"{name} answered with JSON that cannot be read: {error}") from error
    if not isinstance(reply, dict) or not isinstance(reply.get("status"), str):
        raise NoReply(f"{name} answered with something that is not a Celery result")
    return reply


def _decompressed(properties: Properties, body: bytes) -> bytes:
    headers = properties.get("headers")
    if not isinstance(headers, dict) or "compression" not in headers:
        return body
    from mpcli.wire.body import Opaque, opened

    try:
        return opened(properties, body)
    except Opaque as error:
        raise ValueError(str(error)) from error


def _failure(name: TaskName, result: object, traceback: str) -> RemoteError | UnknownTask:
    told = result if isinstance(result, dict) else {"exc_type": "Exception", "exc_message": result}
    kind, message = str(told.get("exc_type")), told.get("exc_message")
    words = list(message) if isinstance(message, (list, tuple)) else [message]
    if kind == "UnpickleableExceptionWrapper" and len(words) >= 4:
        # Celery's stand-in for an exception that it could not rebuild: module, class, arguments, text.
        kind, words = str(words[1]), [words[3]]
    text = ", ".join(str(word) for word in words if word is not None)
    if kind == "NotRegistered" and str(name) in text:
        return UnknownTask(
            f"{name.service} has no task {name}", f"the worker of {name.queue} that got the call knows no such name"
        )
    error = RemoteError(str(name), kind, text, traceback)
    error.hint = _failure_hint(name, kind, text)
    return error


def _failure_hint(name: TaskName, kind: str, text: str) -> str:
    if kind == "EncodeError":
        return "the task ran, but what it returned has no JSON form"
    if kind == "TypeError" and text.startswith(f"{name.task}() "):
        return f"the worker's task does not take these arguments: `mp describe {name}` shows its signature"
    return ""
