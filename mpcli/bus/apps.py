"""`service_apps`: the two Celery applications of a service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery
from kombu.pools import producers

import mpcli.bus.describe  # registers the workers' inspect command
import mpcli.bus.worker  # noqa: F401 - both are imported for what they register: this one connects the workers' signals
from mpcli.bus.naming import DEFAULT_PREFIX, Mode, TaskName, check_prefix, check_service, check_task
from mpcli.bus.settings import CONFIRMING, settings
from mpcli.bus.urls import broker_url
from mpcli.errors import ConfigError, InvalidName, UsageError

# Celery lets these override what an application says, in both applications alike: sync and async would share a broker.
_OVERRIDES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")


def service_apps(
    service: str,
    include: Iterable[str] = (),
    *,
    sync_url: str | None = None,
    async_url: str | None = None,
    prefix: str | None = None,
    accept_pickle: bool = False,
) -> tuple[ServiceApp, ServiceApp]:
    """The sync and the async application of `service`; a worker runs one of them.

    `include` names the modules with the tasks. The URLs default to MP_SYNC_URL and MP_ASYNC_URL; a missing one is an
    error when something connects, so that tasks can be imported and called as functions without any broker.
    `prefix` defaults to MP_PREFIX, then `mp`. `accept_pickle` lets this service's workers run pickled messages: whoever
    can publish to its queues can then run any code in them. Raises `InvalidName` and `ConfigError`.
    """
    check_service(service, check_prefix(prefix or os.environ.get("MP_PREFIX") or DEFAULT_PREFIX))
    if overriding := [name for name in _OVERRIDES if os.environ.get(name)]:
        raise ConfigError(
            f"{', '.join(overriding)} is set: Celery would use it for the sync and the async application alike",
            "unset it; a service's brokers are MP_SYNC_URL and MP_ASYNC_URL",
        )
    modules = [include] if isinstance(include, str) else list(include)
    urls = {Mode.SYNC: sync_url, Mode.ASYNC: async_url}
    sync_app, async_app = (ServiceApp(service, mode, urls[mode], modules, accept_pickle) for mode in Mode)
    return sync_app, async_app


class ServiceApp(Celery):  # type: ignore[misc]  # Celery has no types
    """A Celery application for one mode of a service: task names come from the functions, and are checked."""

    def __init__(self, service: str, mode: Mode, url: str | None, include: list[str], accept_pickle: bool) -> None:
        self.service = service
        self.mode = mode
        self._sources: dict[str, tuple[str, str]] = {}
        super().__init__(f"{service}.{mode}", include=include, set_as_current=False)
        known = url or os.environ.get(f"MP_{mode.upper()}_URL")
        self.conf.update(settings(service, mode, broker_url(mode, known) if known else "", accept_pickle))

    def task(self, *args: Any, **options: Any) -> Any:
        """Celery's decorator, plain or with options. Raises `InvalidName` or `UsageError` when it runs.

        `@sync_app.task` on `def register` makes the task `mplogin.sync.register`.
        """
        if len(args) == 1 and callable(args[0]):
            return self._checked(args[0], options)
        if args:
            raise UsageError("task() takes one function, and options by name")
        return lambda function: self._checked(function, options)

    def _checked(self, function: Callable[..., Any], options: dict[str, Any]) -> Any:
        if str(options.get("name") or "").startswith("celery."):  # Celery's own, which every application has
            return super().task(**options)(function)
        name = self._task_name(function, options.get("name"))
        source = (getattr(function, "__qualname__", name), _file_of(function))
        if self._sources.setdefault(name, source) != source:
            raise UsageError(
                f"two tasks are named {name}: {self._sources[name][0]} in {self._sources[name][1]}, "
                f"and {source[0]} in {source[1]}",
                "Celery would keep one of them in silence; rename the other",
            )
        # shared=True, Celery's default, would register the function with every other application too.
        return super().task(**{**options, "name": name, "shared": False})(function)

    def _task_name(self, function: Callable[..., Any], given: str | None) -> str:
        if given is None:
            return str(TaskName(self.service, self.mode, check_task(function.__name__)))
        task = TaskName.parse(given, prefix="")
        if (task.service, task.mode) != (self.service, self.mode):
            raise InvalidName(
                f"{task} is not a task of {self.service}.{self.mode}",
                f"{self.service}.{self.mode}.{task.task}; leave out name= to have it derived from the function",
            )
        return given

    def gen_task_name(self, name: str, _module: str) -> str:
        """For class-based tasks without a name: by the same grammar."""
        return str(TaskName(self.service, self.mode, check_task(name)))

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """As Celery's, and always with a publisher confirm, so that a missing service is an error of this message."""
        if self.mode is Mode.ASYNC or options.get("producer") or options.get("connection"):
            return super().send_task(name, *args, **options)
        connection = self.connection_for_write(transport_options=CONFIRMING)
        with producers[connection].acquire(block=True) as producer:
            return super().send_task(name, *args, **{**options, "producer": producer})

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Any:
        """As Celery's; raises `ConfigError` when no URL is known, instead of trying a guest on localhost."""
        return super().connection_for_read(url or self._known_url(), **kwargs)

    def connection_for_write(self, url: str | None = None, **kwargs: Any) -> Any:
        """As Celery's; raises `ConfigError` when no URL is known."""
        return super().connection_for_write(url or self._known_url(), **kwargs)

    def _known_url(self) -> str:
        return broker_url(self.mode, self.conf.broker_url)


def _file_of(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return str(getattr(code, "co_filename", getattr(function, "__module__", "")))
