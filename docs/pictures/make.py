"""Make the README's picture from the real thing: run a command in a pseudo-terminal and draw what it showed.

python docs/pictures/make.py            # runs `mp demo` and writes demo.svg beside this file
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
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


def draw(screen: str, title: str, file: Path) -> None:
    """Write the screen as SVG, with the reader's own monospace font instead of one from the network."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(screen))
    svg = console.export_svg(title=title)
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    draw("$ mp demo\n" + abridged(screen_of([sys.executable, "-m", "mpcli", "demo"])), "mp demo", HERE / "demo.svg")
