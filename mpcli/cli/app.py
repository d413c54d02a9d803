"""The typer application: one module for each group of commands, put together here."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import typer

from mpcli.cli.help import use_own_help
from mpcli.errors import UsageError

# In the order in which a newcomer needs them, by the titles under which `mp --help` shows their commands.
COMMAND_MODULES = {
    "Build and run": ("demo", "new", "up", "parts"),
    "Call": ("call", "shell", "tasks", "describe"),
    "Watch": ("tail", "record", "trace", "queues", "peek"),
    "Mend": ("dead", "replay", "purge"),
    "Set up": ("context", "config", "completion"),
}

HELP = """The developer's shell for a platform of Celery services on RabbitMQ.

Scaffold services, run the platform on this machine, call any task.

Example: mp new service mplogin --example login && mp up -d && mp tasks
"""


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="mp",
        help=HELP,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global_options)
    for title, modules in COMMAND_MODULES.items():
        for module in modules:
            commands, groups = len(app.registered_commands), len(app.registered_groups)
            import_module(f"mpcli.cli.{module}").register(app)
            for command in app.registered_commands[commands:]:
                command.rich_help_panel = title
            for group in app.registered_groups[groups:]:
                group.rich_help_panel = title
    return app


def _global_options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Both are looked at in `entry`, before typer is loaded; they stand here for `--help`."""


def run_typer(argv: list[str]) -> int:
    """Parse `argv`, run the command, return its exit code. Raises `MpError`, also for usage errors of typer's."""
    return run_command(as_command(), argv)


def as_command() -> Any:
    """The whole command line, as typer runs it."""
    return use_own_help(typer.main.get_command(build_app()))


def run_command(command: Any, argv: list[str]) -> int:
    """As `run_typer`, with a command line that is there already: the shell's, which is used again."""
    # Not `command.main`: typer would turn a Ctrl-C into a silent exit code and a closed pipe into a failure.
    try:
        with command.make_context("mp", list(argv) or ["--help"]) as context:
            result = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, EOFError):
        raise KeyboardInterrupt from None
    except Exception as error:
        usage = _as_usage_error(error, _path(command, argv))
        if usage is None:
            raise
        raise usage from error
    return result if isinstance(result, int) else 0


def _path(command: Any, argv: list[str]) -> str:
    """The command that `argv` names, as it is typed."""
    path = "mp"
    for word in argv:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        path += f" {word}"
    return path


def _as_usage_error(error: Exception, path: str) -> UsageError | None:
    """click's usage errors as ours. Known by their shape: typer brings click along under changing names."""
    format_message = getattr(error, "format_message", None)
    if format_message is None or not hasattr(error, "exit_code"):
        return None
    text = " ".join(str(format_message()).split()).rstrip(".") or "no command given"
    text = re.sub("Input should be a valid (integer|number).*", r"not a valid \1", text)  # pydantic's, at length
    return UsageError(text[0].lower() + text[1:], f"see `{path} --help`")
