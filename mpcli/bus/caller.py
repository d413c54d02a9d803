"""`Caller`: how an edge or a service calls the tasks of other services, with errors that tell causes apart."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import uuid
from datetime import datetime
from typing import Any

from mpcli.bus import diagnosis, links
from mpcli.bus.budget import origin
from mpcli.bus.delay import Delay
from mpcli.bus.headers import BUDGET_HEADER, SENT_HEADER, task_headers
from mpcli.bus.link import Link
from mpcli.bus.messages import JSON, encode_body, read_reply, sender
from mpcli.bus.naming import DEFAULT_PREFIX, Mode, TaskName, check_prefix
from mpcli.bus.outlet import Outgoing
from mpcli.bus.urls import broker_url
from mpcli.errors import NoReply, UsageError

DEFAULT_TIMEOUT = 10.0


class Caller:
    """Calls sync tasks and sends async ones, over one connection and one reply queue for each process and broker.

    >>> caller = Caller()
    >>> caller.call("mplogin.sync.register", user_obj={"email": "a@b.c"})
    >>> await caller.acall("mplogin.sync.register", user_obj={"email": "a@b.c"})
    >>> caller.send("mplogin.async.send_welcome_email", "a@b.c")
    >>> caller.with_options(timeout=2).call("mplogin.sync.login", "a@b.c", "secret")

    All arguments after the name are the task's own; options are given by `with_options`, so that no task's parameter
    can be mistaken for one. Safe for threads, event loops and forks; make one at import time and keep it.

    The URLs default to MP_SYNC_URL and MP_ASYNC_URL; one is looked up when it is first needed, and `ConfigError` says
    which is missing. Nothing is connected before the first call.
    """

    def __init__(
        self,
        sync_url: str | None = None,
        async_url: str | None = None,
        *,
        prefix: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._prefix = check_prefix(prefix) if prefix else ""
        self._given = {Mode.SYNC: sync_url, Mode.ASYNC: async_url}
        self._urls: dict[Mode, str] = {}
        self._timeout = _seconds(timeout, "timeout")
        self._delay = Delay()
        for mode, url in self._given.items():
            if url:
                broker_url(mode, url)  # a bad one is refused now, and not at the first call

    def with_options(
        self,
        *,
        timeout: float | None = None,
        countdown: float | None = None,
        eta: datetime | None = None,
        expires: float | datetime | None = None,
    ) -> Caller:
        """The same caller, on the same connections, with other options.

        `timeout`, in seconds: how long `call` waits for the reply and `send` for the broker's confirmation.
        `countdown` (seconds) or `eta`: when a sent task may begin, at the earliest. `expires`: the moment, or the
        seconds from now, after which a sent task is dropped if it has not begun. A naive datetime is local time.
        """
        other = Caller.__new__(Caller)
        other.__dict__.update(self.__dict__)
        other._timeout = self._timeout if timeout is None else _seconds(timeout, "timeout")
        other._delay = Delay.of(countdown, eta, expires)
        return other

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run the sync task and return its result, within `timeout` seconds.

        In a task, it waits no longer than the one who waits for that task. A message that no worker took by then is
        dropped by the broker. Raises `InvalidName`, `EncodingFailed`, `BrokerUnreachable`, `BrokerRefused`,
        `UnknownService`, `UnknownTask`, `NoReply`, `RemoteError`.
        """
        task, link, outgoing = self._prepare_call(name, args, kwargs)
        link.submit(outgoing, directly=True)
        try:
            content_type, body = outgoing.future.result(max(0.0, outgoing.deadline - time.monotonic()))
        except concurrent.futures.TimeoutError:
            link.forget(outgoing)
            depth = diagnosis.wait_for_depth(link, task.queue) if outgoing.published else None
            raise diagnosis.no_reply(task, outgoing, link, depth) from None
        except BaseException:
            link.forget(outgoing)
            raise
        return read_reply(task, content_type, body)

    async def acall(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """`call` for an event loop: no thread waits. Cancelling it stops the waiting, and nothing else."""
        task, link, outgoing = self._prepare_call(name, args, kwargs)
        link.submit(outgoing)
        try:
            async with asyncio.timeout(max(0.0, outgoing.deadline - time.monotonic())):
                content_type, body = await asyncio.wrap_future(outgoing.future)
        except TimeoutError:
            link.forget(outgoing)
            depth = await diagnosis.await_depth(link, task.queue) if outgoing.published else None
            raise diagnosis.no_reply(task, outgoing, link, depth) from None
        except BaseException:
            link.forget(outgoing)
            raise
        return read_reply(task, content_type, body)

    def send(self, name: str, /, *args: Any, **kwargs: Any) -> str:
        """Hand the async task to the broker and return the task's id, once the broker confirmed that it has it.

        Raises as `call` does, but for the task's own errors; `NoReply` when no confirmation came in time.
        """
        task, link, outgoing = self._prepare_send(name, args, kwargs)
        try:
            if self._delay.waits:
                link.run(lambda connection: self._delay.route(connection, task, outgoing)).result(self._timeout)
            link.submit(outgoing, directly=True)
            outgoing.future.result(max(0.0, outgoing.deadline - time.monotonic()))
        except concurrent.futures.TimeoutError:
            link.forget(outgoing)
            raise diagnosis.no_confirmation(task, outgoing, link) from None
        return outgoing.task_id

    async def asend(self, name: str, /, *args: Any, **kwargs: Any) -> str:
        """`send` for an event loop."""
        task, link, outgoing = self._prepare_send(name, args, kwargs)
        try:
            async with asyncio.timeout(self._timeout):
                if self._delay.waits:
                    route = link.run(lambda connection: self._delay.route(connection, task, outgoing))
                    await asyncio.wrap_future(route)
                link.submit(outgoing)
                await asyncio.wrap_future(outgoing.future)
        except TimeoutError:
            link.forget(outgoing)
            raise diagnosis.no_confirmation(task, outgoing, link) from None
        return outgoing.task_id

    def close(self) -> None:
        """Close this process's connections to the two brokers, unless another caller uses them too. The next call
        opens them again."""
        for url in self._urls.values():
            links.release(url)
        self._urls.clear()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare_call(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[TaskName, Link, Outgoing]:
        task = self._parse(name, Mode.SYNC)
        if self._delay != Delay():
            raise UsageError(f"{task} is called, not sent: countdown, eta and expires do not apply")
        above = origin()
        timeout = self._timeout if above.remaining is None else min(self._timeout, above.remaining)
        if timeout <= 0:
            raise NoReply(
                f"{task} was not called: whoever waits for the task that calls it has given up by now",
                "a longer timeout at the first caller, or less to do on the way",
            )
        more = {BUDGET_HEADER: float(timeout), SENT_HEADER: time.time()}
        return task, self._link(Mode.SYNC), _outgoing(task, args, kwargs, timeout, above, more)

    def _prepare_send(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[TaskName, Link, Outgoing]:
        task = self._parse(name, Mode.ASYNC)
        headers = {"ignore_result": True, **self._delay.headers()}
        return task, self._link(Mode.ASYNC), _outgoing(task, args, kwargs, self._timeout, origin(), headers)

    def _parse(self, name: str, mode: Mode) -> TaskName:
        if not self._prefix:
            import os

            self._prefix = check_prefix(os.environ.get("MP_PREFIX") or DEFAULT_PREFIX)
        task = TaskName.parse(name, self._prefix)
        if task.mode is not mode:
            verb = "send it" if mode is Mode.SYNC else "call it"
            raise UsageError(
                f"{task} is {'an' if task.mode is Mode.ASYNC else 'a'} {task.mode} task: {verb}",
                "call and acall wait for the result of sync tasks; send and asend hand over async ones",
            )
        return task

    def _link(self, mode: Mode) -> Link:
        url = self._urls.get(mode)
        if url is None:
            url = self._urls[mode] = broker_url(mode, self._given[mode])
            links.use(url)
        return links.link_to(url)


def _outgoing(
    task: TaskName, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float, above: Any, more: dict[str, Any]
) -> Outgoing:
    name, task_id = str(task), str(uuid.uuid4())
    body = encode_body(name, args, kwargs)
    if above.root_id:
        more.update(root_id=above.root_id, parent_id=above.parent_id)
    properties = {
        "routing_key": task.routing_key,
        "content_type": JSON,
        "content_encoding": "utf-8",
        "application_headers": task_headers(name, task_id, args, kwargs, body, origin=sender(), **more),
        "correlation_id": task_id,
        "delivery_mode": 1 if task.mode is Mode.SYNC else 2,
        "priority": 0,
    }
    is_call = task.mode is Mode.SYNC
    return Outgoing(task.exchange, body, properties, time.monotonic() + timeout, reply=is_call, expires=is_call)


def _seconds(value: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise UsageError(f"{what} is {value!r}: it must be a number of seconds above 0")
    return float(value)
