"""The catalog of 1, 50 and 500 services of 20 tasks each: a scan, TAB, `mp tasks`, what `mp call` pays for it, and how
they grow."""

from __future__ import annotations

import json
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS = int(os.environ.get("BENCH_ROUNDS", "21"))
SERVICES = (1, 50, 500)
PYPROJECT = '[tool.mpcli]\nservice = "{0}"\nsync = "{0}.apps:sync_app"\nasync = "{0}.apps:async_app"\n'
TASK = '''
@{mode}_app.task
def do_{number:02d}(user_obj: dict[str, object], count: int = 3, *, email: str = "") -> dict[str, object]:
    """Do number {number} of {service}.

    It takes a user, and gives back what it did.
    """
    return {{"user": user_obj}}
'''
TAB = "import os, sys; sys.path.insert(0, {home!r}); from mpcli.cli.tab import main; "
TAB += "main(sys.argv[1:]); sys.stdout.flush(); os._exit(0)"
HOME = str(Path(__file__).parents[2])
SHOWN = ("one", "all", "tasks", "terminal", "argument", "typo")
NO_BROKER = {**os.environ, "MP_SYNC_URL": "amqp://127.0.0.1:1"}
MP = [sys.executable, "-c", "import sys; from mpcli.cli.entry import main; sys.exit(main())"]


def make(root: Path, services: int) -> None:
    root.mkdir()
    (root / "mp.toml").write_text("")
    for index in range(services):
        name = f"mpservice{index:03d}"
        package = root / name / name
        package.mkdir(parents=True)
        (root / name / "pyproject.toml").write_text(PYPROJECT.format(name))
        (package / "__init__.py").write_text("")
        for mode in ("sync", "async"):
            tasks = (TASK.format(mode=mode, number=number, service=name) for number in range(10))
            (package / f"{mode}_tasks.py").write_text("".join(tasks))


def seconds(command: list[str], cwd: Path) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=120, env=NO_BROKER)
    took = time.perf_counter() - began
    assert done.returncode in (0, 2, 5), done.stderr
    return took


def on_a_terminal(command: list[str], cwd: Path) -> float:
    """Seconds to the end of the output on a screen of 120 columns."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    running = subprocess.Popen(command, cwd=cwd, stdout=theirs, env={**NO_BROKER, "COLUMNS": "120"})
    os.close(theirs)
    try:
        while os.read(ours, 1 << 16):
            pass
    except OSError:
        pass  # Linux's way to say that the other side hung up
    os.close(ours)
    assert running.wait(60) == 0
    return time.perf_counter() - began


def in_turn(commands: dict[str, list[str]], cwd: Path) -> dict[str, float]:
    """Medians, measured A B C A B C."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(seconds(command, cwd))
    return {name: statistics.median(found) for name, found in times.items()}


def scans(root: Path) -> tuple[float, float, float]:
    """Milliseconds of a scan in this process: of everything, with nothing changed, with one file changed."""
    from mpcli.catalog.source import scan_platform
    from mpcli.platform.layout import load_platform

    def scan() -> float:
        began = time.perf_counter()
        scan_platform(load_platform(root))
        return (time.perf_counter() - began) * 1000

    shutil.rmtree(root / ".mp", ignore_errors=True)
    first = scan()
    unchanged = statistics.median(scan() for _ in range(5))
    return first, unchanged, statistics.median(_touched(root, scan) for _ in range(5))


def _touched(root: Path, scan: Callable[[], float]) -> float:
    os.utime(root / "mpservice000" / "mpservice000" / "sync_tasks.py")
    return scan()


def main() -> None:
    tab = [sys.executable, "-I", "-S", "-c", TAB.format(home=HOME), "__complete_line"]
    print("## The catalog\n")
    print("Milliseconds; from TAB on they are of whole processes, in brackets their ratio to `python -c pass`.")
    print("`mp call` is refused: for a wrong argument, by what the catalog knows; for a typo, with no broker there.\n")
    print(
        "| tasks | scan, first | nothing changed | a file changed | TAB, a service | TAB, all | `mp tasks`, piped "
        "| `mp tasks`, terminal | `mp call`, argument | `mp call`, typo |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for services in SERVICES:
            root = Path(folder) / str(services)
            make(root, services)
            first, unchanged, touched = scans(root)
            commands = {
                "bare": [sys.executable, "-c", "pass"],
                "one": [*tab, "mp call mpservice000.s", ":="],
                "all": [*tab, "mp call mp", ":="],
                "tasks": [*MP, "tasks"],
                "argument": [*MP, "call", "mpservice000.sync.do_03", "user_ob:={}"],
                "typo": [*MP, "call", "mpservice000.sync.do_3", "user_obj:={}"],
            }
            found = in_turn(commands, root)
            found["terminal"] = statistics.median(on_a_terminal(commands["tasks"], root) for _ in range(RUNS))
            listed = subprocess.run(commands["tasks"], cwd=root, capture_output=True, check=True, timeout=120)
            assert len(json.loads(listed.stdout)) == services * 20
            cells = [f"{found[name] * 1000:.0f} ({found[name] / found['bare']:.2f})" for name in SHOWN]
            print(f"| {services * 20} | {first:.0f} | {unchanged:.0f} | {touched:.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
