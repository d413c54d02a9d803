"""TAB in real shells on a pseudo-terminal, with no broker anywhere: what is typed, completed and then run."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE = 30.0
# Colours and cursor movements: a shell shows the part that was typed in another colour than the rest.
CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])|[\x0e\x0f]")
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": "bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'; source ./script\n",
    "zsh": "autoload -Uz compinit; compinit -u -D; source ./script\n",
    "fish": "function fish_prompt; echo -n; end; source ./script\n",
}


class Terminal:
    """A shell that sits on a pseudo-terminal; `screen` is all that it wrote."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(START[shell][0], START[shell], self._environment(folder))
        self.screen = ""
        self.seen = 0

    @staticmethod
    def _environment(folder: Path) -> dict[str, str]:
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config"), "XDG_DATA_HOME": str(folder / ".data")}
        return {"PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "200", "LINES": "50", **home}

    def type(self, text: str) -> None:
        """Only what is written from now on is waited for."""
        self.seen = len(self.screen)
        os.write(self.fd, text.encode())

    def wait_for(self, *texts: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not all(text in self.screen[self.seen :] for text in texts):
            left = deadline - time.monotonic()
            assert left > 0, f"{texts} did not come:\n{self.screen[self.seen :]!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.screen += CONTROLS.sub("", os.read(self.fd, 65536).decode("utf-8", "replace"))

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture(params=sorted(START))
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "mp.toml").write_text("")
    service = tmp_path / "mplogin"
    service.mkdir()
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin:app"\n')
    (service / "mplogin.py").write_text(
        "@app.task\ndef register(email: str, user_obj: dict): 'Registers: a user.'\n@app.task\ndef login(): ...\n"
    )
    (tmp_path / "bin").mkdir()
    run = tmp_path / "bin" / "mp"  # says what it was called with; the script asks the interpreter that wrote it
    run.write_text("#!/bin/sh\nfor word in \"$@\"; do printf '<%s>' \"$word\"; done; echo '#'\n")
    run.chmod(0o755)
    code = "import sys; from mpcli.cli.entry import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, "completion", shell], capture_output=True, check=True)
    (tmp_path / "script").write_bytes(done.stdout)
    found = Terminal(shell, tmp_path)
    try:
        found.type(f"{SETUP[shell]}echo rea''dy\n")
        found.wait_for("ready")
        yield found
    finally:
        found.close()


def test_tab_lists_the_tasks(terminal: Terminal) -> None:
    terminal.type("mp call mplo\t\t")
    terminal.wait_for("gin.sync.login", "gin.sync.register")  # fish shortens what all have in common
    terminal.type("\x15mp peek mplo\t")  # Ctrl-U: an empty line again
    terminal.wait_for("mp peek mplogin.sync ")


def test_what_is_completed_is_what_runs(terminal: Terminal) -> None:
    terminal.type("mp cal\t")
    terminal.wait_for("mp call ")
    terminal.type("mplogin.sync.r\t")
    terminal.wait_for("register ")
    terminal.type("us\t")
    terminal.wait_for("user_obj:=")
    terminal.type("@scr\t")
    terminal.wait_for("script")
    terminal.type("em\t")
    terminal.wait_for("email=")
    terminal.type("a@b.c\n")
    terminal.wait_for("<call><mplogin.sync.register><user_obj:=@script><email=a@b.c>#")
