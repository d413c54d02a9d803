"""The Celery settings of a service's two applications, each with its reason."""

from __future__ import annotations

from typing import Any

from mpcli.bus.naming import Mode, queue_name
from mpcli.bus.router import Router
from mpcli.bus.topology import DELIVERY_MODES, service_queue


def settings(service: str, mode: Mode, url: str, accept_pickle: bool) -> dict[str, Any]:
    """For `app.conf.update`. `url` is empty as long as it is not known."""
    own = _sync() if mode is Mode.SYNC else _async()
    return {**_broker(mode, url), **_messages(service, mode), **_content(accept_pickle), **_worker(), **own}


# A publish to a broker that is down fails at once instead of after six seconds.
_FAIL_FAST = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
# Confirms tell whether the broker has the message, and make `mandatory` an error of the right message.
CONFIRMING = {**_FAIL_FAST, "confirm_publish": True}


def _broker(mode: Mode, url: str) -> dict[str, Any]:
    return {
        "broker_url": url or None,
        # TLS: check the certificate against the host of the URL (None means that one).
        "broker_use_ssl": {"server_hostname": None} if url.startswith("amqps") else False,
        # A sync worker publishes replies and events, which are worth nothing when they are late: what it sends beside
        # them is confirmed all the same, see ServiceApp.send_task.
        "broker_transport_options": CONFIRMING if mode is Mode.ASYNC else _FAIL_FAST,
        "broker_connection_timeout": 4,
        "broker_heartbeat": 20,
        # A worker waits for its broker for ever, at the start too.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2},
    }


def _messages(service: str, mode: Mode) -> dict[str, Any]:
    queue = queue_name(service, mode)
    return {
        # Its own queue only: a worker without -Q consumes all that are listed.
        "task_queues": (service_queue(service, mode),),
        "task_default_queue": queue,
        "task_default_exchange": service,
        "task_default_exchange_type": "topic",
        "task_default_routing_key": queue,
        "task_default_delivery_mode": DELIVERY_MODES[mode],
        # A typo must not make a queue that swallows messages.
        "task_create_missing_queues": False,
        "task_routes": (Router(service, mode),),
    }


def _content(accept_pickle: bool) -> dict[str, Any]:
    return {
        "accept_content": ["json", "pickle"] if accept_pickle else ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
    }


def _worker() -> dict[str, Any]:
    return {
        "worker_consumer": "mpcli.bus.worker:Consumer",
        # With late acks a worker takes no more than it can run: nothing waits behind a long task.
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        # What runs when the connection breaks is delivered again, and to cancel it would spare a second run at the same
        # time. But a prefork pool of Celery 5.7 that cancelled a task so hung in each warm shutdown that was tried;
        # without, it did so once in ten, when it was told to stop right after a break.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # `mp tail` and `mp trace` see outcomes.
        "worker_send_task_events": True,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _sync() -> dict[str, Any]:
    return {
        "result_backend": "rpc://",
        "result_persistent": False,
        "task_ignore_result": False,
        # The caller has been told of the failure; a call whose worker died is not run a second time.
        "task_acks_on_failure_or_timeout": True,
        "task_reject_on_worker_lost": False,
    }


def _async() -> dict[str, Any]:
    return {
        "result_backend": None,
        "task_ignore_result": True,
        # Nobody waits for these: a task that failed, and one whose workers died again and again, is a dead letter.
        "task_acks_on_failure_or_timeout": False,
        "task_reject_on_worker_lost": True,
    }
