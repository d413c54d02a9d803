"""Whether a value fits an annotation, and the value that does when it was only spelt as text.

What is not one of the types that travel in Celery's JSON is not judged, and the value stays as it is. This is on the
path of a call: `datetime`, `decimal` and `uuid` are imported only for what needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from mpcli.catalog.annotations import DICTS, LISTS, Type, read_annotation

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# How Celery's JSON carries a date, a UUID and so on: what is in it is known to the worker alone.
_MARKS = {"__type__", "__value__"}


class Misfit(ValueError):
    """`path` is the place in the value (`[2]['age']`), `why` what is wrong there."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path


def fit(value: object, annotation: str) -> object:
    """The value for a parameter that is annotated so. Raises `Misfit` when it cannot be one."""
    return _fit(value, read_annotation(annotation))


def _fit(value: object, wanted: Type | None) -> object:
    if wanted is None or (isinstance(value, dict) and value.keys() == _MARKS):
        return value
    made_of_parts = _OF_PARTS.get(wanted.name)
    return made_of_parts(value, wanted) if made_of_parts else _READERS[wanted.name](value, wanted.name)


def _fit_any(value: object, wanted: Type) -> object:
    """As the member that takes it unchanged, else as the first that can be made of it."""
    misfits: list[Misfit] = []
    made: list[object] = []
    for member in wanted.inner:
        try:
            fitted = _fit(value, member)
        except Misfit as misfit:
            misfits.append(misfit)
            continue
        if fitted is value:
            return value
        made.append(fitted)
    if made:
        return made[0]
    # The one that came furthest: `list[int] | None` and ["x"] is about the x.
    raise max(misfits, key=lambda misfit: (len(misfit.path), misfit.why.endswith("is none")))


def _literal(value: object, wanted: Type) -> object:
    literals = wanted.literals
    for one in literals:
        if one == value and type(one) is type(value):
            return value
    if isinstance(value, str):
        for one in literals:
            if not isinstance(one, str) and json.dumps(one, default=str) == value:
                return one
    raise Misfit(f"must be one of {', '.join(map(repr, literals))}")


def _list(value: object, wanted: Type) -> object:
    if isinstance(value, str):
        value = _json(value, "list")
    if not isinstance(value, (list, tuple)):
        raise Misfit(f"is {kind_of(value)}, not a list")
    inner = wanted.inner[0] if wanted.inner else None
    made = [_at(index, part, inner) for index, part in enumerate(value)] if inner else value
    return value if _same(made, value) else made


def _dict(value: object, wanted: Type) -> object:
    if isinstance(value, str):
        value = _json(value, "dict")
    if not isinstance(value, Mapping):
        raise Misfit(f"is {kind_of(value)}, not a dict")
    inner = wanted.inner[1] if len(wanted.inner) == 2 else None
    made = {key: _at(key, part, inner) for key, part in value.items()} if inner else value
    return value if inner is None or _same(list(made.values()), list(value.values())) else made


def _same(made: object, value: object) -> bool:
    """Whether nothing was converted, part by part; then the value itself is kept, which is how a union knows."""
    assert isinstance(made, (list, tuple))
    assert isinstance(value, (list, tuple))
    return all(one is other for one, other in zip(made, value, strict=True))


def _at(place: object, part: object, inner: Type | None) -> object:
    try:
        return _fit(part, inner)
    except Misfit as misfit:
        raise Misfit(misfit.why, f"[{place!r}]{misfit.path}") from None


def _json(text: str, wanted: str) -> object:
    kind = list if wanted == "list" else dict
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, kind):
        return value
    raise Misfit(f"is text that is no {wanted}: JSON is given with :=")


_OF_PARTS: dict[str, Callable[[object, Type], object]] = {
    "|": _fit_any,
    "Literal": _literal,
    **dict.fromkeys(LISTS, _list),
    **dict.fromkeys(DICTS, _dict),
}


def _null(value: object, _: str) -> object:
    if value is None or value == "null":
        return None
    raise Misfit(f"is {kind_of(value)}, not null")


def _text(value: object, _: str) -> object:
    if isinstance(value, str):
        return value
    raise Misfit(f"is {kind_of(value)}, not text" + ("" if value is None else ": it is given with = and not :="))


def _int(value: object, name: str) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        digits = value.strip()
        if digits.isascii() and digits.removeprefix("-").isdigit():
            return _read_as(int, digits, name)
    raise _unfit(value, name)


def _float(value: object, name: str) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and "_" not in value:
        number = float(str(_read_as(float, value, name)))
        if abs(number) != float("inf") and number == number:  # noqa: PLR0124 - JSON has no NaN either
            return number
    raise _unfit(value, name)


def _bool(value: object, name: str) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    raise _unfit(value, name)


def _bytes(value: object, name: str) -> object:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _read_as(str.encode, value, name)
    raise _unfit(value, name)


def _moment(value: object, name: str) -> object:
    """ISO 8601, as Python reads it."""
    import datetime as dt

    kind = getattr(dt, name)
    if type(value) is kind:
        return value
    if isinstance(value, str):
        return _read_as(kind.fromisoformat, value.strip(), name)
    raise _unfit(value, name)


def _decimal(value: object, name: str) -> object:
    from decimal import Decimal

    if isinstance(value, Decimal):
        return value
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = _read_as(Decimal, str(value).strip(), name)
        assert isinstance(number, Decimal)
        if number.is_finite():
            return number
    raise _unfit(value, name)


def _uuid(value: object, name: str) -> object:
    from uuid import UUID

    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        return _read_as(UUID, value.strip(), name)
    raise _unfit(value, name)


def _read_as(reader: Callable[[str], object], text: str, name: str) -> object:
    try:
        return reader(text)
    except (ValueError, ArithmeticError):
        raise _unfit(text, name) from None


_READERS: dict[str, Callable[[object, str], object]] = {
    "None": _null,
    "str": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "bytes": _bytes,
    "date": _moment,
    "datetime": _moment,
    "time": _moment,
    "Decimal": _decimal,
    "UUID": _uuid,
}
_HINTS = {"bool": " (true or false)", "date": " (2030-01-31)", "datetime": " (2030-01-31T12:00)", "time": " (12:00)"}


def _unfit(value: object, name: str) -> Misfit:
    """The value itself is not shown: it may be a secret."""
    wanted = f"{name}{_HINTS.get(name, '')}"
    return Misfit(f"is text that is no {wanted}" if isinstance(value, str) else f"is {kind_of(value)}, not {wanted}")


def kind_of(value: object) -> str:
    """What JSON would call it."""
    if value is None:
        return "null"
    names = {str: "text", bool: "a bool", int: "an int", float: "a float", list: "a list", dict: "a dict"}
    return names.get(type(value), f"a {type(value).__name__}")
