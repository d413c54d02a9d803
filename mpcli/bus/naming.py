"""The grammar of the platform: `mplogin.sync.register` names service, mode and task, and so also the
topic exchange (`mplogin`), the queue (`mplogin.sync`) and the routing key (the name itself).

Stdlib only: this module is on the start-up path of `mp` and inside every service.
"""

from __future__ import annotations

import re
from enum import StrEnum

from mpcli.errors import InvalidName

DEFAULT_PREFIX = "mp"

# AMQP 0-9-1 section 4.2.5.3: a short string (exchange, queue, routing key) holds at most 255 bytes.
# With a service of at most 63 and a task of at most 127 characters, all derived names fit with room to spare.
_MAX_SERVICE = 63
_MAX_TASK = 127
_WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_TASK = re.compile(r"[a-z][a-z0-9_]*")


class Mode(StrEnum):
    """How a task is called: `sync` for a reply, `async` to be done some time."""

    SYNC = "sync"
    ASYNC = "async"


class TaskName:
    """A task name that was checked. Raises `InvalidName` when it breaks the grammar.

    >>> name = TaskName.parse("mplogin.sync.register")
    >>> name.exchange, name.queue, name.routing_key
    ('mplogin', 'mplogin.sync', 'mplogin.sync.register')
    """

    __slots__ = ("mode", "service", "task")

    def __init__(self, service: str, mode: Mode, task: str) -> None:
        self.service = service
        self.mode = mode
        self.task = task

    @classmethod
    def parse(cls, text: str, prefix: str = DEFAULT_PREFIX) -> TaskName:
        """Split and check `<service>.<sync|async>.<task>`."""
        words = text.split(".")
        if len(words) != 3:
            raise InvalidName(
                f"{text!r} is not a task name: it must be <service>.<sync|async>.<task>",
                f"for example {prefix}login.sync.register",
            )
        service, mode, task = words
        check_service(service, prefix)
        if mode not in ("sync", "async"):
            raise InvalidName(f"{mode!r} in {text!r} is not a mode", "the middle word is sync or async")
        check_task(task)
        return cls(service, Mode(mode), task)

    @property
    def exchange(self) -> str:
        """The topic exchange of the service."""
        return self.service

    @property
    def queue(self) -> str:
        """The queue of the service's mode."""
        return queue_name(self.service, self.mode)

    @property
    def routing_key(self) -> str:
        """The task name itself."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.service}.{self.mode}.{self.task}"

    def __repr__(self) -> str:
        return f"TaskName({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskName) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def check_service(name: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Return `name` when it is a service name; raise `InvalidName` with a suggestion when it is not."""
    if name.startswith(prefix) and len(name) > len(prefix) and len(name) <= _MAX_SERVICE and _WORD.fullmatch(name):
        return name
    suggestion = suggest_service(name, prefix)
    raise InvalidName(
        f"{name!r} is not a service name: {prefix!r} and then lower-case letters, digits and single underscores, "
        f"at most {_MAX_SERVICE} characters",
        f"did you mean {suggestion}?" if suggestion else f"for example {prefix}login",
    )


def check_task(name: str) -> str:
    """Return `name` when it is the last word of a task name; raise `InvalidName` when it is not."""
    if _TASK.fullmatch(name) and len(name) <= _MAX_TASK:
        return name
    raise InvalidName(
        f"{name!r} is not a task's name: lower-case letters, digits and underscores, first a letter, "
        f"at most {_MAX_TASK} characters",
        "for example register",
    )


def check_prefix(prefix: str) -> str:
    """Return `prefix` when services may begin with it; raise `InvalidName` when they may not."""
    if re.fullmatch(r"[a-z][a-z0-9]{0,15}", prefix):
        return prefix
    raise InvalidName(
        f"{prefix!r} is not a prefix: lower-case letters and digits, first a letter, at most 16",
        "mp is the default",
    )


def suggest_service(text: str, prefix: str = DEFAULT_PREFIX) -> str:
    """The nearest service name to what was typed (`login` -> `mplogin`), or nothing."""
    word = "_".join(re.findall(r"[a-z0-9]+", text.lower()))
    if not word.startswith(prefix) or word == prefix:
        word = prefix + word
    word = word[:_MAX_SERVICE].rstrip("_")
    return word if word != prefix and _WORD.fullmatch(word) else ""


def queue_name(service: str, mode: Mode) -> str:
    """The queue that the workers of one mode of a service consume."""
    return f"{service}.{mode}"


def binding_key(service: str, mode: Mode) -> str:
    """The topic pattern that binds the queue to the service's exchange."""
    return f"{service}.{mode}.#"


def dead_letter_queue(service: str) -> str:
    """Where rejected, expired-by-delivery-limit and failed async messages of a service end up."""
    return f"{service}.dead"


def dead_letter_exchange(service: str) -> str:
    """The fanout exchange in front of the dead-letter queue. Its own name, so that no task name reaches it."""
    return f"{service}.dead"
