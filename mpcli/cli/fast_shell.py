"""`mp shell` with the words that are usual, read by hand: its first prompt would wait twice as long for typer.

What is not wholly plain here goes to `mpcli.cli.shell`, as for `mpcli.cli.fast_call`; both start the same shell.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.shell.session import Session

_WITH_VALUE = ("-c", "--context", "--timeout")


def run(argv: list[str]) -> int | None:
    """Run `mp shell` with these words (without `shell`) and return the exit code; None to hand over to typer."""
    options: dict[str, str] = {}
    flags: set[str] = set()
    words = iter(argv)
    for word in words:
        if word in ("--vi", "--yes", "--debug"):
            flags.add(word)
        elif word in _WITH_VALUE:
            value = next(words, "")
            if not value or (value.startswith("-") and word != "-c"):
                return None
            options[word] = value
        else:
            return None
    timeout = options.get("--timeout", "10")
    if not timeout.isascii() or not timeout.isdigit() or len(timeout) > 6:
        return None
    return run_shell(
        None, options.get("-c"), float(timeout), options.get("--context"), "--yes" in flags, "--vi" in flags
    )


def run_shell(
    file: str | None, code: str | None, timeout: float, context: str | None, yes: bool = False, vi: bool = False
) -> int:
    """Run code, a file or stdin to its end, or a terminal until its user leaves; return the exit code."""
    import gc

    # Imports make garbage only by mistake, and looking for it is a twelfth of their time. The screen enables it again.
    gc.disable()
    from pathlib import Path

    from mpcli.cli.inside import Inside
    from mpcli.shell.session import Session

    session = Session(Path.cwd(), context, command_line=Inside(), yes=yes)
    session.timeout = timeout
    try:
        if code is None and file is None and sys.stdin.isatty():
            if not sys.stdout.isatty():
                from mpcli.errors import UsageError

                raise UsageError(
                    "mp shell wants a terminal, and stdout is none", "run -c CODE, a FILE or - without one"
                )
            from mpcli.cli.tab import candidates
            from mpcli.shell.screen import run

            return run(session, candidates, vi=vi)
        return _run_code(session, file, code)
    finally:
        session.close()


def _run_code(session: Session, file: str | None, code: str | None) -> int:
    import gc
    from pathlib import Path

    from mpcli.errors import UsageError
    from mpcli.shell.front import PlainFront, run_code

    gc.enable()
    session.front = PlainFront()
    if code is not None:
        return run_code(session, code, "<-c>")
    name = "<stdin>" if file in (None, "-") else str(file)
    if name != "<stdin>" and not Path(name).exists():
        raise UsageError(f"there is no file {name}", "mp shell FILE runs a file, mp shell -c CODE a line")
    if name != "<stdin>":
        session.builtins.folder = str(Path(name).parent.absolute())
    data = sys.stdin.buffer.read() if name == "<stdin>" else Path(name).read_bytes()
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8: {error}", "nothing of it was run") from error
    return run_code(session, text, name)
