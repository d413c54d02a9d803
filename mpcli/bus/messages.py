"""Celery's messages as the caller writes and reads them: task protocol 2, JSON, the replies of the rpc:// backend.

Source: https://docs.celeryq.dev/en/stable/internals/protocol.html. Only JSON is read; nothing that came from a broker
is ever unpickled, imported or rebuilt as an exception.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

from kombu.utils.json import dumps, loads

from mpcli.bus.naming import TaskName
from mpcli.errors import EncodingFailed, NoReply, RemoteError, UnknownTask

JSON = "application/json"
_INTERIM = ("STARTED", "RETRY", "PENDING", "RECEIVED", "PROGRESS")
_EMBED: dict[str, None] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_origin: dict[int, str] = {}


def encode_body(name: object, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    """The body of a task message. Raises `EncodingFailed`, which names the argument that has no JSON form."""
    try:
        return str(dumps([args, kwargs, _EMBED]))
    except (TypeError, ValueError, RecursionError) as error:
        culprit = _culprit(args, kwargs) or "an argument"
        raise EncodingFailed(
            f"{name}: {culprit} cannot be sent as JSON: {error}",
            "text, numbers, lists, dicts, datetime, Decimal, UUID and bytes can",
        ) from error


def _culprit(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    for index, value in enumerate(args):
        if path := _broken(value, f"argument {index + 1}"):
            return path
    for key, value in kwargs.items():
        if path := _broken(value, str(key)):
            return path
    return ""


def _broken(value: object, path: str, depth: int = 0) -> str:
    """The path to the innermost part of `value` that cannot be encoded, or nothing."""
    try:
        dumps(value)
    except (TypeError, ValueError, RecursionError):
        if depth > 20:
            return path
        parts: list[tuple[object, object]] = []
        if isinstance(value, dict):
            parts = list(value.items())
        elif isinstance(value, (list, tuple)):
            parts = list(enumerate(value))
        for key, part in parts:
            if found := _broken(part, f"{path}[{key!r}]", depth + 1):
                return found
        return f"{path} ({type(value).__name__})"
    return ""


def sender() -> str:
    """Who sends: this process, on this machine, as Celery writes it."""
    return _origin.get(os.getpid()) or _new_origin()


def _new_origin() -> str:
    _origin.clear()
    return _origin.setdefault(os.getpid(), f"gen{os.getpid()}@{socket.gethostname()}")


def is_final(body: str | bytes) -> bool:
    """Whether a reply is the last one: tasks also report STARTED and RETRY. True for what cannot be read."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    if not any(f'"{status}"' in text for status in _INTERIM):
        return True
    try:
        return loads(text)["status"] not in _INTERIM
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return True


def read_reply(name: TaskName, content_type: str, body: str | bytes) -> object:
    """The task's result. Raises `RemoteError`, `UnknownTask`, or `NoReply` when there is no reading the answer."""
    if content_type != JSON:
        raise NoReply(
            f"{name} answered in {content_type or 'an unnamed content type'}, which is refused",
            "the service must set result_serializer to json",
        )
    try:
        reply = loads(body)
        status, result = reply["status"], reply.get("result")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoReply(f"{name} answered with something that is not a Celery reply: {error}") from error
    if status == "SUCCESS":
        return result
    if status == "REVOKED":
        raise NoReply(f"{name} was revoked, or expired before a worker could begin it; it did not run")
    raise _remote_error(name, result, str(reply.get("traceback") or ""))


def _remote_error(name: TaskName, result: object, traceback: str) -> RemoteError | UnknownTask:
    told = result if isinstance(result, dict) else {"exc_type": "Exception", "exc_message": result}
    type_name, words = str(told.get("exc_type")), told.get("exc_message")
    listed = list(words) if isinstance(words, (list, tuple)) else [words]
    if type_name == "UnpickleableExceptionWrapper" and len(listed) >= 3:
        # What Celery's worker puts around an exception that pickle cannot copy: module, name, arguments, text.
        type_name, listed = str(listed[1]), [*listed[3:4], *(listed[2] if isinstance(listed[2], list) else [])][:1]
    text = ", ".join(str(word) for word in listed if word is not None)
    if type_name == "NotRegistered" and str(name) in text:
        return UnknownTask(
            f"{name.service} has no task {name}",
            f"a worker of {name.queue} answered that it knows no such name; `mp tasks` lists the ones there are",
        )
    error = RemoteError(str(name), type_name, text, traceback)
    if type_name == "TypeError" and "unexpected keyword argument" in text:
        error.hint += "; options of the call go into with_options(...), not among the task's arguments"
    return error
