"""Why calls over an open line came to nothing: asked over a connection of its own, while the line carries the others.

Only what failed costs anything, imports too. What fails at about the same time is asked for once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from mpcli.errors import BrokerError, BrokerUnreachable, Interrupted, MpError
from mpcli.wire import aside
from mpcli.wire.handshake import connect
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.verdict import unbound, unexplained

# Seconds. The line itself was connected; who waits has waited long enough.
_CONNECT_WAIT = 1.0

# A call, and the error that it came to as far as the line knows: None for one that was not answered in time.
_Failed = tuple[Ongoing, MpError | None]


class Explainer:
    """Settles what failed on the line to the broker at `urls`. Thread-safe; its thread lives while there is work."""

    def __init__(self, urls: str, name: str) -> None:
        self._urls = urls
        self._name = name
        self._lock = threading.Lock()
        self._failed: list[_Failed] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def explain(self, ongoing: Ongoing, error: MpError | None = None) -> None:
        """Finish a call that was not answered in time, or one that came back with this error; returns at once."""
        with self._lock:
            if not self._closed:
                self._failed.append((ongoing, error))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="mp explainer", daemon=True)
                    aside.start(self._thread)
                return
        ongoing.finish(error=error or _closed(ongoing))

    def close(self) -> None:
        """What has not been looked into yet fails as it is."""
        with self._lock:
            self._closed = True
            failed, self._failed = self._failed, []
        for ongoing, error in failed:
            ongoing.finish(error=error or _closed(ongoing))

    def _run(self) -> None:
        while True:
            with self._lock:
                failed, self._failed = self._failed, []
                if not failed:
                    self._thread = None
                    return
            for group in _by_name(failed):
                try:
                    self._settle(group)
                except Exception as problem:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
                    _finish(group, BrokerUnreachable(f"{type(problem).__name__}: {problem}"))

    def _settle(self, failed: list[_Failed]) -> None:
        """Those of one task."""
        from mpcli.wire.call import has_queue
        from mpcli.wire.control import Control
        from mpcli.wire.diagnosis import no_replies

        name = failed[0][0].name
        late = {ongoing.id: ongoing.timeout for ongoing, error in failed if error is None}
        try:
            with connect(self._urls, timeout=_CONNECT_WAIT, name=self._name) as connection:
                reasons = no_replies(Control(connection), name, late) if late else {}
                is_unbound = len(late) < len(failed) and has_queue(connection, name)
        except BrokerError as problem:
            _finish(failed, problem)
            return
        for ongoing, error in failed:
            if error is None:
                ongoing.finish(error=reasons[ongoing.id])
            else:  # each gets its own, for each is raised in a thread of its own
                ongoing.finish(error=unbound(name) if is_unbound else error)

    def give_up(self, ongoings: Iterable[Ongoing]) -> dict[str, Interrupted]:
        """Cancel these, as after Ctrl-C, and revoke what no worker has begun; what to tell of each, by id.

        One that comes to its end meanwhile is not among them. Takes some three seconds at most for each task name.
        """
        told: dict[str, Interrupted] = {}
        for group in _by_name([(ongoing, None) for ongoing in ongoings]):
            told |= self._give_up([ongoing for ongoing, _ in group])
        return told

    def _give_up(self, ongoings: list[Ongoing]) -> dict[str, Interrupted]:
        from mpcli.wire.control import Control
        from mpcli.wire.interruption import interrupted_calls, not_revoked

        name = ongoings[0].name
        calls = {one.id: one.deadline for one in ongoings if one.replies and one.sent and not one.done}
        told: dict[str, Interrupted] = {}
        if calls:
            try:
                with connect(self._urls, timeout=_CONNECT_WAIT, name=self._name) as connection:
                    told = interrupted_calls(Control(connection), name, calls)
            except BrokerError as error:
                told = {task_id: not_revoked(name, deadline, error) for task_id, deadline in calls.items()}
        return {one.id: told.get(one.id) or _unasked(one) for one in ongoings if one.cancel()}


def _unasked(ongoing: Ongoing) -> Interrupted:
    """For what the workers could not be asked about."""
    from mpcli.wire.interruption import interrupted_send, never_ran, not_revoked

    if not ongoing.sent:
        return never_ran(f"interrupted: {ongoing.name} was not sent")
    if not ongoing.replies:
        return interrupted_send(ongoing.name, ongoing.id)
    return not_revoked(ongoing.name, ongoing.deadline, BrokerUnreachable("it was sent this moment"))


def _by_name(failed: list[_Failed]) -> list[list[_Failed]]:
    groups: dict[str, list[_Failed]] = {}
    for one in failed:
        groups.setdefault(str(one[0].name), []).append(one)
    return list(groups.values())


def _finish(failed: list[_Failed], problem: MpError) -> None:
    """They fail as they are, for this problem kept the reason from being found out."""
    for ongoing, error in failed:
        ongoing.finish(error=error or unexplained(ongoing.name, ongoing.timeout, problem))


def _closed(ongoing: Ongoing) -> MpError:
    return unexplained(ongoing.name, ongoing.timeout, BrokerUnreachable("the connection was closed by this program"))
