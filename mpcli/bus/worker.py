"""What a service's worker does beyond Celery's: it declares its topology and says what is in the way, it answers
callers whose message it cannot read, and it notes when a task begins."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

from celery.signals import task_prerun, worker_init
from celery.worker.consumer import Consumer as CeleryConsumer

from mpcli.bus.budget import mark_started
from mpcli.errors import BrokerRefused, MpError

logger = logging.getLogger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, but no message disappears: one that cannot be read is rejected, which makes it a dead letter
    on the async queue, and whoever waits for its reply is told."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Celery acknowledges such a message, and it is gone."""
        logger.error("refused a message that cannot be read: %s (%s)", exc, message.content_type)
        message.reject_log_error(logger, self.connection_errors)
        self._answer(message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """A content type that is not accepted, or headers that make no task."""
        super().on_invalid_task(body, message, exc)
        self._answer(message, exc)

    def _answer(self, message: Any, exc: Exception) -> None:
        headers, properties = message.headers or {}, message.properties or {}
        task_id = headers.get("id") or properties.get("correlation_id")
        if not properties.get("reply_to") or not task_id:
            return
        request = SimpleNamespace(
            id=task_id,
            name=headers.get("task"),
            task=headers.get("task"),
            root_id=headers.get("root_id"),
            parent_id=None,
            correlation_id=properties.get("correlation_id"),
            reply_to=properties["reply_to"],
            chord=None,
            errbacks=None,
            group=None,
            group_index=None,
            ignore_result=False,
            args=None,
            kwargs=None,
            delivery_info={},
            retries=0,
        )
        try:
            self.app.backend.mark_as_failure(task_id, exc, request=request)
        except Exception:  # the message is dealt with; a reply that cannot be sent must not stop the worker
            logger.warning("could not tell the caller of %s", headers.get("task"), exc_info=True)


@worker_init.connect(weak=False)  # type: ignore[untyped-decorator]  # Celery has no types
def _declare(sender: Any = None, **_: Any) -> None:
    """Declare all that the service needs before anything is consumed; a conflict ends the worker with both values
    instead of a traceback. A broker that is away is Celery's business: it waits for it."""
    from mpcli.bus.apps import ServiceApp
    from mpcli.bus.topology import declare_topology

    app = getattr(sender, "app", None)
    if not isinstance(app, ServiceApp):
        return
    try:
        url = app.connection_for_read().as_uri(include_password=True)
        declare_topology(app.service, {app.mode: url})
    except BrokerRefused as error:
        sys.exit(f"{app.service}.{app.mode} cannot start: {error.message}\n{error.hint}".rstrip())
    except MpError as error:
        logger.warning("%s; the worker waits for it", error.message)


@task_prerun.connect(weak=False)  # type: ignore[untyped-decorator]  # Celery has no types
def _note_start(task: Any = None, **_: Any) -> None:
    mark_started(task.request)
