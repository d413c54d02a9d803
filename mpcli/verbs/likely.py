"""What was probably meant by a call that came to nothing, from the source of the platform and from live workers."""

from __future__ import annotations

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError, UnknownTask
from mpcli.platform.contexts import Context, Endpoint

# A worker that began before the task was written does not know it, nor one that could not load it.
_ONLY_WRITTEN = (
    "the source has it, and the workers that run do not: start them anew; if that does not help, see their log"
)


class Likely:
    """Explains the failure of one call, seen from one place; all is looked up when it is asked for."""

    def __init__(self, around: Context, name: TaskName) -> None:
        self.around = around
        self.name = name
        self._written: list[str] | None = None

    def refuse_typo(self) -> None:
        """Raise `UnknownTask` when the service is in the source of this platform, and the task is not."""
        known = self.source_tasks()
        if known and str(self.name) not in known and any(_service(one) == self.name.service for one in known):
            raise self.unknown(known)

    def suggest_service(self, error: MpError) -> None:
        """Add the service that was probably meant, when the source has none of this name."""
        known = self.source_tasks()
        if known and all(_service(one) != self.name.service for one in known):
            hint = self.hint(known)
            error.hint = f"{hint} {error.hint}" if hint else error.hint

    def unknown(self, known: list[str]) -> UnknownTask:
        """That there is no such task among the `known` ones, and which was probably meant."""
        return UnknownTask(
            f"{self.name.service} has no task {self.name}",
            self.hint(known) or f"`mp tasks {self.name.service}` lists those that it has",
        )

    def hint(self, known: list[str]) -> str:
        """Which of the `known` tasks was probably meant; empty when none is near."""
        if str(self.name) in self.source_tasks():
            return _ONLY_WRITTEN
        from mpcli.catalog.nearest import nearest

        own = [one for one in known if one.startswith(f"{self.name.queue}.")]
        meant = nearest(str(self.name), own) or nearest(str(self.name), known)
        return f"did you mean {meant}?" if meant else ""

    def source_tasks(self) -> list[str]:
        """The names of all tasks in the platform's source; none outside of a platform, or when it cannot be read."""
        if self._written is None:
            self._written = self._read_index() if self.around.root else []
        return self._written

    def _read_index(self) -> list[str]:
        from mpcli.catalog import index

        try:
            # The task's own service is looked at anew when something changed there: a task may just have been written.
            index.refresh(self.around.root, f"{self.name}\t")
            return index.names(self.around.root)
        except (MpError, OSError):
            return []  # this is only to explain another failure, which is the one to be told

    def live_tasks(self, endpoint: Endpoint | None) -> list[str]:
        """The names that the workers of the queue know; none when they cannot be asked."""
        if endpoint is None:
            return []
        from mpcli.wire.control import Control
        from mpcli.wire.handshake import connect

        try:
            with connect(endpoint.url, timeout=1.0) as connection:
                return Control(connection).survey(self.name.queue).tasks
        except MpError:
            return []


def _service(task: str) -> str:
    return task.partition(".")[0]
