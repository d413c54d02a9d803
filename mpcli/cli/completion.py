"""`mp completion SHELL`: the script that makes a shell ask `mpcli.cli.tab` on TAB."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typer

# Without site and through no launcher (pip's older ones import `re`): a third less than `mp __complete`. Where this
# interpreter is gone, whatever `mp` is found then is asked.
_ASK = """\
__mp_ask() {{
    if [ -x {python} ]; then
        {python} -I -S -c {code} "$@" 2>/dev/null
    else
        command mp "$@" 2>/dev/null
    fi
}}
"""

_BASH = """\
_mp_complete() {
    local IFS=$'\\n'
    COMPREPLY=($(__mp_ask __complete_line "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS"))
}
complete -o nospace -F _mp_complete mp
"""

_ZSH = """\
_mp() {
    local -a finished open
    local line word entry
    for line in ${(f)"$(__mp_ask __complete "${(@)words[2,CURRENT]}")"}; do
        word=${line%%$'\\t'*}
        entry=${word//:/\\\\:}
        [[ $line == *$'\\t'* ]] && entry+=":${line#*$'\\t'}"
        if [[ $word == *[=.:/@] ]]; then open+=("$entry"); else finished+=("$entry"); fi
    done
    (( ${#finished} )) && _describe -t mp mp finished
    (( ${#open} )) && _describe -t mp-open mp open -S ''
    return 0
}
(( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
compdef _mp mp
"""

_FISH = """\
function __mp_ask
    if test -x {python}
        {python} -I -S -c {code} $argv 2>/dev/null
    else
        command mp $argv 2>/dev/null
    end
end
function __mp_complete
    set -l words (commandline -opc) (commandline -ct)
    __mp_ask __complete $words[2..-1]
end
complete -c mp -f -a '(__mp_complete)'
"""

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """What the shell is to read. Raises `UsageError` for one that is not known."""
    import shlex
    from pathlib import Path

    from mpcli.errors import UsageError

    if shell not in SHELLS:
        raise UsageError(f"no completion for {shell!r}", f"one of {', '.join(SHELLS)}")
    home = str(Path(__file__).parents[2])
    # Nothing is to be torn down in an orderly way: leaving at once saves a tenth.
    code = f"import os, sys; sys.path.insert(0, {home!r}); from mpcli.cli.tab import main; "
    code += "main(sys.argv[1:]); sys.stdout.flush(); os._exit(0)"
    words = {"python": shlex.quote(sys.executable), "code": f'"{code}"'}
    if shell == "fish":
        return _FISH.format(**words)
    return ("#compdef mp\n" if shell == "zsh" else "") + _ASK.format(**words) + (_BASH if shell == "bash" else _ZSH)


def register(app: typer.Typer) -> None:
    """Add `mp completion SHELL`."""
    import typer

    def completion(shell: str = typer.Argument(help="bash, zsh or fish", metavar="SHELL")) -> None:
        """Print the completion script of a shell: commands, options, tasks, their parameters, contexts, files.

        For bash: eval "$(mp completion bash)" in ~/.bashrc; the same in ~/.zshrc; fish: mp completion fish | source.

        Example: mp completion bash >> ~/.bashrc
        """
        sys.stdout.write(script(shell))

    app.command("completion")(completion)
