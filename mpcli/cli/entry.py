"""The way in. What is hot (`--version`, TAB, `call`, `shell`) is answered before typer is imported.

typer and the pydantic that it brings triple the start-up (docs/explanation/speed.md has the measurement).
"""

from __future__ import annotations

import errno
import io
import os
import sys

_TRACEBACK = "run again with --debug for the traceback"
_WHAT_TO_DO = {
    errno.ENOSPC: "make room on the disk first",
    errno.EDQUOT: "make room on the disk first",
    errno.EROFS: "run it in a folder that can be written to",
    errno.EACCES: "is it yours? `ls -ld` tells",
    errno.ENOENT: "is the path right? files are looked for from the folder that you are in",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "is the path right? a part of it is a file",
    errno.EMFILE: "`ulimit -n` allows too few open files",
}


def main(argv: list[str] | None = None) -> int:
    """Run `mp` with these arguments and return its exit code. Errors are printed here and nowhere else."""
    is_own_process = argv is None
    argv = sys.argv[1:] if argv is None else argv
    if is_own_process:
        sys.unraisablehook = hear_again
        _prepare_streams()
    try:
        code = _quick(argv)
        if code is not None and is_own_process:
            _leave(code)
        return _by_typer(argv) if code is None else code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # The reader of the pipe went away (`mp ... | head`): nothing to say, and nowhere to say it.
        _give_up_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - the one place that turns every error into two lines and a code
        if is_interrupt(error):
            return _interrupted()
        code = _report(error, "--debug" in argv or bool(os.environ.get("MP_DEBUG")))
        try:
            sys.stdout.flush()
        except OSError:  # a full disk: it was told, and need not be told again when the interpreter ends
            _give_up_stdout()
        return code
    finally:
        if is_own_process:
            _hear_no_more()


def _interrupted() -> int:
    sys.stderr.write("\nmp: interrupted\n")
    return 130


def is_interrupt(error: Exception) -> bool:
    """Whether it is a Ctrl-C in disguise: as a class was made, in `__set_name__`, until Python 3.11."""
    return isinstance(error, RuntimeError) and isinstance(error.__cause__, KeyboardInterrupt)


def _give_up_stdout() -> None:
    """Let what is left in stdout's buffer go nowhere, so that its last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare_streams() -> None:
    """See to it that whatever is printed can be printed.

    A stream that was closed (`mp ... >&-`, as daemons do it) becomes one that leads nowhere, under the number that it
    would have had, before a socket takes that. A sign that the encoding lacks (PYTHONIOENCODING=ascii, ISO-8859-1) is
    written as its number.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _quick(argv: list[str]) -> int | None:
    """Do what is hot and plain and return its exit code; None for all else."""
    if argv == ["--version"]:
        from mpcli import __version__

        sys.stdout.write(f"mp {__version__}\n")
        return 0
    if argv[:1] in (["__complete"], ["__complete_line"]):
        from mpcli.cli.tab import main as tab

        return tab(argv)
    if argv[:1] == ["call"]:
        from mpcli.cli.fast_call import run

        return run(argv[1:])
    if argv[:1] == ["tasks"]:
        from mpcli.cli.fast_tasks import run as run_tasks

        return run_tasks(argv[1:])
    if argv[:1] == ["shell"]:
        from mpcli.cli.fast_shell import run as run_shell

        return run_shell(argv[1:])
    return None


def _leave(code: int) -> None:
    """End the process without taking the interpreter apart, which costs as much as a call's round trip (4 ms).

    What is hot has no thread, no open file and nothing registered for the end; what was printed goes out first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def hear_again(unraisable: sys.UnraisableHookArgs) -> None:
    """For `sys.unraisablehook`: a Ctrl-C that came in the callback of a weak reference, as each import has one.

    Python would print it and go on. The alarm raises it again, once this is left.
    """
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import signal

    signal.signal(signal.SIGALRM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.001)


def _hear_no_more() -> None:
    """All is done and said: a Ctrl-C while the interpreter is taken apart would only show its insides."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _by_typer(argv: list[str]) -> int:
    from mpcli.cli.app import run_typer

    code = run_typer([word for word in argv if word != "--debug"])
    sys.stdout.flush()  # here, where a reader that went away is expected, and not at the interpreter's end
    return code


def _report(error: Exception, debug: bool) -> int:
    from mpcli.errors import ExitCode, Interrupted, MpError

    if debug:
        import traceback

        traceback.print_exception(error)
    from mpcli.render.console import end_interrupted_line, print_error

    if isinstance(error, MpError):
        if isinstance(error, Interrupted):
            end_interrupted_line()
        print_error(error)
        return int(error.exit_code)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        print_error(MpError(f"{where}{error.strerror}", _WHAT_TO_DO.get(error.errno or 0, _TRACEBACK)))
        return int(ExitCode.UNEXPECTED)
    print_error(
        MpError(
            f"unexpected {type(error).__name__}: {error}",
            "this is a defect of mp: run again with --debug and report the traceback",
        )
    )
    return int(ExitCode.UNEXPECTED)
