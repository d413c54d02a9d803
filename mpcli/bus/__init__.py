"""What a service or an edge imports in production: `service_apps` for a service, `Caller` for its clients.

Needs Celery and nothing else. Names are loaded when they are first used, so that the grammar in
`mpcli.bus.naming` can be read without paying for Celery's import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.bus.apps import service_apps as service_apps
    from mpcli.bus.caller import Caller as Caller

__all__ = ["Caller", "service_apps"]

_HOME = {"Caller": "mpcli.bus.caller", "service_apps": "mpcli.bus.apps"}


def __getattr__(name: str) -> object:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
