"""Every error that `mp` or the bus raises on purpose, and the exit code each one leads to.

Stdlib only and light: it is imported on the start-up path and by services in production.
"""

from __future__ import annotations

from enum import IntEnum

# For an address of which no more is known than that nothing answers there.
IS_IT_RUNNING = "is the broker running, and is the address right?"


class ExitCode(IntEnum):
    """What a shell script can branch on; documented in docs/reference/exit-codes.md."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    TASK_RAISED = 3
    NO_REPLY = 4
    NOT_FOUND = 5
    BROKER = 6
    REFUSED = 7
    DIFFERENT = 8
    INTERRUPTED = 130


class MpError(Exception):
    """What is wrong (`message`), what to do about it (`hint`), and the code to exit with."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # An error may cross a process boundary (a pool child, a test): keep all of its fields.
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[MpError], state: dict[str, object]) -> MpError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class UsageError(MpError):
    """The command or call itself is wrong; nothing was sent or changed."""

    exit_code = ExitCode.USAGE


class InvalidName(UsageError):
    """A service, mode or task name outside the grammar of `mpcli.bus.naming`."""


class NoPlatform(UsageError):
    """The command needs a platform (a folder with `mp.toml`) and there is none here or above."""


class ConfigError(UsageError):
    """A setting has a value that cannot be used; the message names the file and the key."""


class EncodingFailed(UsageError):
    """An argument has no JSON form; the message names it."""


class RemoteError(MpError):
    """The task ran and raised. Holds text only: the remote class is never imported or rebuilt."""

    exit_code = ExitCode.TASK_RAISED

    def __init__(self, task: str, type_name: str, text: str, traceback: str = "") -> None:
        super().__init__(f"{task} raised {type_name}: {text}", "the remote traceback is in .traceback")
        self.task = task
        self.type_name = type_name
        self.text = text
        self.traceback = traceback


class NoReply(MpError):
    """No answer within the caller's patience; the message holds the diagnosis.

    `never_ran` when a worker said that it dropped the task before it began.
    """

    exit_code = ExitCode.NO_REPLY
    never_ran = False


class Interrupted(MpError):
    """Ctrl-C, where there is more to say than that; the message holds what became of the task.

    `never_ran` when that is: it did not begin, and it will not.
    """

    exit_code = ExitCode.INTERRUPTED
    never_ran = False


class NobodyListens(NoReply):
    """No answer, and no worker that could give one."""


class NotFound(MpError):
    """No such service or task."""

    exit_code = ExitCode.NOT_FOUND


class UnknownService(NotFound):
    """The service's exchange, or the queue of its mode, does not exist on the broker."""


class UnknownTask(NotFound):
    """The service is there; it has no such task."""


class BrokerError(MpError):
    """The broker, not the task, is the problem."""

    exit_code = ExitCode.BROKER


class BrokerUnreachable(BrokerError):
    """Nothing that speaks AMQP answers at the address.

    `uncertain` when that came after something was sent: then the hint says what is not known of it.
    """

    uncertain = False

    def advise(self, hint: str) -> None:
        """Take over what to do about the address, unless the hint names a cause already: TLS, a certificate."""
        if hint and self.hint in ("", IS_IT_RUNNING):
            self.hint = hint


class BrokerRefused(BrokerError):
    """The broker answered and said no: credentials, vhost, permission, a conflicting declaration.

    `code` is AMQP's reply code (section 1.2 of the specification), 0 where there was none.
    """

    def __init__(self, message: str, hint: str = "", code: int = 0) -> None:
        super().__init__(message, hint)
        self.code = code


class BrokerUnavailable(BrokerError):
    """A local broker cannot be started here: not installed, port taken, it died."""


class ProtocolError(BrokerError):
    """The peer sent bytes that are not AMQP 0-9-1, or that break its rules."""


class SafetyRefusal(MpError):
    """Refused because the context is careful or readonly."""

    exit_code = ExitCode.REFUSED
