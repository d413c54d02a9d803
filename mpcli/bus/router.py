"""Where a message goes: exchange, type, routing key and mandatory, and never a queue."""

from __future__ import annotations

from typing import Any

from mpcli.bus.naming import Mode, TaskName
from mpcli.errors import UsageError


class Router:
    """Celery's routing hook for one mode of a service."""

    def __init__(self, service: str, mode: Mode) -> None:
        self._service = service
        self._mode = mode

    def __call__(self, name: str, *_args: Any, **_options: Any) -> dict[str, Any]:
        """The route of a task by its name. Raises `InvalidName`, or `UsageError` for a task of the other broker."""
        if name.startswith("celery."):  # Celery's own, such as celery.map: this service's workers run them
            return _route(self._service, f"{self._service}.{self._mode}.celery")
        task = TaskName.parse(name, prefix="")
        if task.mode is not self._mode:
            raise UsageError(
                f"{task} lives on the {task.mode} broker; this application speaks to the {self._mode} one",
                "use the service's other application, or a Caller",
            )
        return _route(task.exchange, task.routing_key)

    def __repr__(self) -> str:
        return f"Router({self._service!r}, {self._mode!r})"


def _route(exchange: str, routing_key: str) -> dict[str, Any]:
    return {"exchange": exchange, "exchange_type": "topic", "routing_key": routing_key, "mandatory": True}
