"""Make the README's pictures from the real thing: run a command in a pseudo-terminal and draw what it showed.

python docs/pictures/make.py [demo] [shell]     # writes demo.svg and shell.svg, or those named, beside this file
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "support"))

from terminal import ENTER, TAB, Terminal  # noqa: E402 - its folder was just added

COLUMNS = 110
DEADLINE = 180  # seconds


def screen_of(command: list[str]) -> str:
    """Everything that the command wrote to its terminal, colours included."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "200", "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    chunks = []
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux answers EIO when the last writer is gone
            break
        if not data:
            break
        chunks.append(data)
    if process.wait(DEADLINE) != 0:
        sys.exit(f"{command} exited with {process.returncode}")
    return b"".join(chunks).decode().replace("\r\n", "\n")


def abridged(screen: str) -> str:
    """Without the lists of files that `mp new` prints, and without where this machine keeps its Python."""
    lines = screen.replace(sys.prefix, ".venv").strip("\n").splitlines()
    shown = []
    listing = False
    for line in lines:
        command = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if command.startswith("#"):
            listing = False
        if not listing:
            shown.append(line)
        if command.startswith("$ mp new"):
            listing = True
            shown.append("")
    return "\n".join(shown)


def draw(screen: Text, title: str, file: Path) -> None:
    """Write the screen as SVG, with the reader's own monospace font instead of one from the network."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(screen)
    # The id is made of the picture's content: the same screen gives the same file.
    svg = console.export_svg(title=title, unique_id=f"mp-{file.stem}")
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


# -- the shell -----------------------------------------------------------------------------------------------------

USER = '{"email": "ada@example.org"}'


def shell_screen(folder: Path) -> Text:
    """A call, its result, and the menu over what came of it."""
    mp = str(Path(sys.executable).parent / "mp")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MP_", "XDG_"))}
    env |= {"HOME": str(folder), "PATH": f"{Path(mp).parent}:{env['PATH']}"}

    def run(*arguments: str) -> None:
        subprocess.run([mp, *arguments], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)

    for service, example in (("mplogin", "login"), ("mpwallet", "wallet")):
        run("new", "service", service, "--example", example)
    run("up", "-d")
    try:
        with Terminal([mp, "shell"], folder, env, COLUMNS, 24) as shell:
            shell.see(lambda: "4 workers" in shell.bar)
            shell.send("mplre")
            shell.see("Register a user")
            shell.send(TAB)
            shell.see("user_obj=")
            shell.send(f"user_obj={USER})" + ENTER)
            shell.see(lambda: " ms │" in shell.bar)
            shell.send("u = _" + ENTER)
            shell.see(lambda: shell.line == "local>")
            shell.send('mplogin.async.send_welcome_email(email=u["email"], user_id=u["user_id"])' + ENTER)
            shell.see(lambda: "sent" in shell.text and shell.line == "local>")
            shell.send("mpwallet.sync.open(owner=mplo")
            shell.see("Register a user")
            shell.see(lambda: "mpwallet.sync.open(owner: str" in shell.lines[-2])
            return coloured(shell)
    finally:
        run("down")


def coloured(terminal: Terminal) -> Text:
    """The screen with its colours."""
    lines = []
    for row in range(terminal.screen.lines):
        line = Text()
        for column in range(terminal.screen.columns):
            cell = terminal.screen.buffer[row][column]
            looks = {"bold": cell.bold, "underline": cell.underscore, "reverse": cell.reverse, "italic": cell.italics}
            line.append(cell.data, Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), **looks))
        lines.append(line)
    return Text("\n").join(lines)


def _colour(name: str) -> str | None:
    """rich's name of what pyte calls a colour."""
    if name == "default":
        return None
    name = name.replace("brown", "yellow")
    if name.startswith("bright"):
        return f"bright_{name.removeprefix('bright')}"
    return name if name.isalpha() else f"#{name}"


def main(names: list[str]) -> None:
    """Draw the pictures that are named, or all."""
    if not names or "demo" in names:
        demo = "$ mp demo\n" + abridged(screen_of([sys.executable, "-m", "mpcli", "demo"]))
        draw(Text.from_ansi(demo), "mp demo", HERE / "demo.svg")
    if not names or "shell" in names:
        with tempfile.TemporaryDirectory() as folder:
            draw(shell_screen(Path(folder)), "mp shell", HERE / "shell.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
