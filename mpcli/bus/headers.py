"""The headers of a task message of Celery's protocol 2, the same from the bus and from `mp` itself.

Source: https://docs.celeryq.dev/en/stable/internals/protocol.html. On the path of every `mp call`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# The caller's patience, for the calls that the task makes in turn (see mpcli.bus.budget): seconds, and the wall clock
# when they began.
BUDGET_HEADER, SENT_HEADER = "mp_budget", "mp_sent"
_REPR_SIZE = 1024  # as in celery.app.amqp
_SECRET = re.compile(r"passw(?:or)?d|secret|token|authorization|api_?key", re.IGNORECASE)


def task_headers(
    name: str,
    task_id: str,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    body: str,
    *,
    origin: str,
    **more: object,
) -> dict[str, object]:
    """All of them; `body` is that of the message, `origin` who sends it, `more` goes before what stands here."""
    return {
        "lang": "py",
        "task": name,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        **argument_reprs(args, kwargs, body),
        "origin": origin,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        **more,
    }


def argument_reprs(args: Sequence[object], kwargs: Mapping[str, object], body: str) -> dict[str, str]:
    """The headers `argsrepr` and `kwargsrepr`, secrets hidden: workers write these two into events and logs."""
    shown: tuple[object, object] = (tuple(args), kwargs)
    if _SECRET.search(body):
        shown = (tuple(map(_masked, args)), _masked(kwargs))
    return {"argsrepr": _short_repr(shown[0]), "kwargsrepr": _short_repr(shown[1])}


def _short_repr(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _REPR_SIZE else text[: _REPR_SIZE - 3] + "..."


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: "***" if _SECRET.search(str(key)) else _masked(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(part) for part in value]
    return value
