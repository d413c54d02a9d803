"""Which services and tasks the patterns on the command line mean, and what a tap binds to for them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from mpcli.bus.naming import Mode, check_service, dead_letter_exchange
from mpcli.errors import NotFound, UsageError
from mpcli.wire.events import EVENT_EXCHANGE, EVENT_PATTERN
from mpcli.wire.tap_queues import Source

_SIGNS = "*?["


class Selection:
    """The services that patterns match, and the tasks in them.

    A pattern is a service (`mplogin`), a mode (`mplogin.sync`), a task, any of them with `*`, `?` and `[abc]`, or a
    part of a task's name. Without patterns all known services are meant.
    """

    def __init__(self, patterns: list[str], prefix: str, known: list[str]) -> None:
        """Raises `UsageError` for a name outside the grammar, `NotFound` when nothing matches."""
        self.services: list[str] = []
        self._patterns: list[str] = []
        self._modes: dict[str, set[str]] = {}
        self._narrow = False
        if not patterns and not known:
            raise UsageError(
                "no service is known here", "name one, such as mplogin, or go into the folder of a platform"
            )
        for pattern in patterns or ["*"]:
            self._add(pattern, prefix, known)
        self._all = not patterns or "*" in patterns

    def _add(self, pattern: str, prefix: str, known: list[str]) -> None:
        first, _, rest = pattern.partition(".")
        signs = any(sign in pattern for sign in _SIGNS)
        if not signs and not rest and not first.startswith(prefix):
            found, rest, pattern = known, "", f"*{pattern}*"
        elif any(sign in first for sign in _SIGNS):
            found = [service for service in known if fnmatchcase(service, first)]
        else:
            found = [check_service(first, prefix)]
        if not found:
            raise NotFound(f"no service matches {pattern!r}", f"known here: {', '.join(known) or 'none'}")
        self._patterns += [pattern, f"{pattern}.*"]
        mode, _, below = rest.partition(".")
        self._narrow = self._narrow or bool(below) or pattern.startswith("*") or mode not in ("", "sync", "async")
        for service in found:
            self._modes.setdefault(service, set()).add(mode if mode in ("sync", "async") else "")
        self.services = sorted(self._modes)

    def wants(self, task: str) -> bool:
        """Whether the task is one of those meant."""
        return self._all or any(fnmatchcase(task, pattern) for pattern in self._patterns)

    @property
    def everything(self) -> bool:
        """Whether the bindings alone let through what is meant, so that nobody need look at a message."""
        return self._all or not self._narrow

    def sources(self, broker: Mode) -> list[Source]:
        """What to bind a tap to on one broker: the services' exchanges, their dead letters, the workers' events."""
        found = [Source(service, self._keys(service)) for service in self.services]
        if broker is Mode.ASYNC:
            found += [Source(dead_letter_exchange(name)) for name in self.services if self._modes[name] != {"sync"}]
        return [*found, Source(EVENT_EXCHANGE, (EVENT_PATTERN,))]

    def _keys(self, service: str) -> tuple[str, ...]:
        modes = self._modes[service]
        # A delayed message comes with the delay in front of its key, so the pattern begins with #.
        return ("#",) if "" in modes else tuple(f"#.{service}.{mode}.#" for mode in sorted(modes))
