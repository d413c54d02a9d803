"""JSON as kombu writes and reads it: datetime, date, time, Decimal, UUID, bytes as `{"__type__", "__value__"}` objects.

Source: kombu.utils.json of kombu 5.3 and later. Importing kombu would cost a call 250 ms, so its rules are kept here;
a contract test holds them against the real one.
"""

from __future__ import annotations

import json

from mpcli.errors import EncodingFailed

_MARKS = {"__type__", "__value__"}
_HINT = "text, numbers, true, false, null, lists, objects, datetime, date, time, Decimal, UUID and bytes can"


def dumps(value: object) -> str:
    """The JSON text. Raises `TypeError`, `ValueError` or `RecursionError` for what has no JSON form."""
    return json.dumps(value, default=_marked)


def loads(text: str | bytes) -> object:
    """The value of a JSON text, marked values as their Python types. Raises `ValueError` or `RecursionError`."""
    if isinstance(text, bytes):
        text = text.decode()
    # Looking for the mark first spares the call of a hook for each object.
    return json.loads(text, object_hook=_unmarked) if '"__type__"' in text else json.loads(text)


def encode_arguments(task: str, args: list[object], kwargs: dict[str, object]) -> bytes:
    """The body of a protocol 2 task message. Raises `EncodingFailed`, which names the argument and the reason."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    try:
        text = dumps([args, kwargs, embed])
    except (TypeError, ValueError, RecursionError) as error:
        place = _culprit(args, kwargs) or "an argument"
        raise EncodingFailed(f"{task}: {place} has no JSON form: {_why(error)}", _HINT) from error
    if '"__type__"' in text:
        _check_marks(task, args, kwargs)
    return text.encode()


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _named(args: list[object], kwargs: dict[str, object]) -> list[tuple[str, object]]:
    return [(f"argument {number}", value) for number, value in enumerate(args, 1)] + list(kwargs.items())


def _culprit(args: list[object], kwargs: dict[str, object]) -> str:
    for name, value in _named(args, kwargs):
        if not isinstance(name, str):
            return repr(name)
        try:
            dumps(value)
        except (TypeError, ValueError, RecursionError):
            return f"{name} ({type(value).__name__})"
    return ""


def _check_marks(task: str, args: list[object], kwargs: dict[str, object]) -> None:
    """A mark that kombu cannot read makes the worker throw the message away without an answer: refuse it here."""
    for name, value in _named(args, kwargs):
        try:
            json.loads(dumps(value), object_hook=_strictly_unmarked)
        except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
            raise EncodingFailed(
                f"{task}: {name} holds an object with the keys __type__ and __value__ that no worker can read: {error}",
                "these two keys alone are how Celery writes typed values, such as datetime, date, decimal, uuid, bytes",
            ) from error


def _marked(value: object) -> object:
    import base64
    from datetime import date, datetime, time
    from decimal import Decimal
    from uuid import UUID

    if isinstance(value, bytes):
        try:
            return _mark("bytes", value.decode())
        except UnicodeDecodeError:
            return _mark("base64", base64.b64encode(value).decode())
    # A datetime is a date too: it comes first.
    writers = ((datetime, "datetime"), (date, "date"), (time, "time"))
    for kind, mark in writers:
        if isinstance(value, kind):
            return _mark(mark, value.isoformat())
    if isinstance(value, Decimal):
        return _mark("decimal", str(value))
    if isinstance(value, UUID):
        return _mark("uuid", {"hex": value.hex})
    raise TypeError(f"{type(value).__name__} is not JSON")


def _mark(kind: str, value: object) -> dict[str, object]:
    return {"__type__": kind, "__value__": value}


def _unmarked(item: dict[str, object]) -> object:
    """The typed value of a marked object; one that cannot be read stays as it came."""
    try:
        return _strictly_unmarked(item)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return item


def _strictly_unmarked(item: dict[str, object]) -> object:
    if item.keys() != _MARKS:
        return item
    import base64
    from datetime import datetime, time
    from decimal import Decimal
    from uuid import UUID

    kind, value = item["__type__"], item["__value__"]
    if kind == "uuid" and isinstance(value, dict) and value.keys() == {"hex"}:
        return UUID(value["hex"])
    readers = {
        "bytes": str.encode,
        "base64": base64.b64decode,
        "datetime": datetime.fromisoformat,
        "date": lambda text: datetime.fromisoformat(text).date(),
        "time": time.fromisoformat,
        "decimal": Decimal,
    }
    if not isinstance(kind, str) or kind not in readers or not isinstance(value, str):
        raise ValueError(f"unknown type {kind!r}")
    return readers[kind](value)  # type: ignore[operator]  # each takes the text and gives its own type
