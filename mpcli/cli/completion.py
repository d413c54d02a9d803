"""Completion on TAB, answered without typer: it must cost what bare Python costs, or nobody keeps it on.

The shell runs `mp __complete WORD ...` with the words behind `mp`, the unfinished one last, and reads a candidate
on each line, with a tab and a description behind it where there is one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typer

    from mpcli.platform.layout import Platform

# The command line as TAB sees it; a test holds it against the typer application.
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": (),
    "new": ("platform", "service"),
    "up": (),
    "down": (),
    "ps": (),
    "call": (),
    "tasks": (),
    "tail": (),
    "record": ("show", "stat", "grep", "diff"),
    "broker": ("run",),
    "worker": (),
    "completion": ("bash", "zsh", "fish"),
}

_BASH = """\
_mp_complete() {
    local IFS=$'\\n'
    COMPREPLY=($(mp __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _mp_complete mp
"""

_ZSH = """\
#compdef mp
_mp() {
    local -a candidates
    local line
    for line in ${(f)"$(mp __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        candidates+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( ${#candidates} )); then
        _describe mp candidates
    else
        _files
    fi
}
compdef _mp mp
"""

_FISH = """\
function __mp_complete
    set -l words (commandline -opc) (commandline -ct)
    mp __complete $words[2..-1] 2>/dev/null
end
complete -c mp -f -a '(__mp_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def register(app: typer.Typer) -> None:
    """Add `mp completion SHELL`."""
    import typer

    def completion(shell: str = typer.Argument(help="bash, zsh or fish", metavar="SHELL")) -> None:
        """Print the completion script of a shell.

        Example: mp completion bash >> ~/.bashrc
        """
        from mpcli.errors import UsageError

        if shell not in SCRIPTS:
            raise UsageError(f"no completion for {shell!r}", f"one of {', '.join(SCRIPTS)}")
        sys.stdout.write(SCRIPTS[shell])

    app.command("completion")(completion)


def complete(words: list[str]) -> int:
    """Print the candidates for the last of `words`. Prints nothing rather than an error: TAB must not shout."""
    try:
        lines = candidates(words or [""])
    except Exception:  # noqa: BLE001 - a broken mp.toml or file is told by the command, not by TAB
        return 0
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def candidates(words: list[str]) -> list[str]:
    """What the last word can become, each with a tab and a description where there is one."""
    *before, unfinished = words
    if not before:
        return [name for name in COMMANDS if name.startswith(unfinished)]
    if len(before) == 1 and COMMANDS.get(before[0]):
        return [name for name in COMMANDS[before[0]] if name.startswith(unfinished)]
    if before == ["call"]:
        return _tasks(unfinished)
    if before == ["worker"]:
        return _workers(unfinished)
    return []


def _tasks(unfinished: str) -> list[str]:
    from mpcli.catalog.source import scan_platform

    return [
        f"{task.name}\t{_one_line(task.doc)}" for task in scan_platform(_platform()) if task.name.startswith(unfinished)
    ]


def _workers(unfinished: str) -> list[str]:
    apps = (f"{service.name}.{mode}" for service in _platform().services() for mode in service.apps)
    return [app for app in apps if app.startswith(unfinished)]


def _platform() -> Platform:
    from pathlib import Path

    from mpcli.platform.layout import load_platform

    return load_platform(Path(os.getcwd()))


def _one_line(doc: str) -> str:
    from mpcli.render.escape import escape_line

    return escape_line(doc.partition("\n")[0])
