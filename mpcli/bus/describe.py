"""The worker's answer to "what do you serve?": signatures, docs and limits of its tasks, as text."""

from __future__ import annotations

import inspect
from typing import Any

from celery.worker.control import inspect_command

_LIMITS = ("time_limit", "soft_time_limit", "rate_limit", "max_retries", "default_retry_delay", "acks_late")


@inspect_command(args=[("tasks", list)], default_timeout=1.0, signature="[task ...]")  # type: ignore[untyped-decorator]
def mp_describe(state: Any, tasks: list[str] | None = None, **_: Any) -> dict[str, Any]:
    """Signature, documentation and limits of the tasks of this worker, or of those that are named."""
    registered = state.app.tasks
    names = sorted(name for name in registered if not name.startswith("celery.") and (not tasks or name in tasks))
    return {"tasks": {name: describe_task(registered[name]) for name in names}}


def describe_task(task: Any) -> dict[str, Any]:
    """What `mp_describe` tells of one task. Defaults and annotations are source text; nothing of it is for `eval`."""
    limits = {key: value for key in _LIMITS if (value := getattr(task, key, None)) is not None}
    parameters, returns = _signature(task.run)
    return {"parameters": parameters, "returns": returns, "doc": _doc(task), "limits": limits}


def _signature(function: Any) -> tuple[list[dict[str, Any]] | None, str | None]:
    """None where Python itself does not know the parameters: that is not the same as none."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None, None
    parameters = [
        {
            "name": parameter.name,
            "kind": parameter.kind.name.lower(),
            "annotation": _annotation(parameter.annotation),
            "default": None if parameter.default is parameter.empty else _text(parameter.default),
            "required": parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD),
        }
        for parameter in signature.parameters.values()
    ]
    return parameters, _annotation(signature.return_annotation)


def _annotation(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a default may be anything; its repr must not silence the worker
        return f"<{type(value).__name__}>"


def _doc(task: Any) -> str:
    # A task without a docstring inherits that of Celery's Task class.
    doc = task.run.__doc__ or ""
    return inspect.cleandoc(doc)
