"""`mp shell` under the fingers: the time to its first prompt against ptpython and IPython, and what a keystroke costs
among 10, 1,000 and 10,000 tasks, to the screen and in the completer, against prompt_toolkit's own fuzzy completer.

Whole programs in a pseudo-terminal. The peers are what `nox -s benchmarks` installs; one that is not there is left out.
"""

from __future__ import annotations

import os
import random
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
sys.path.insert(0, str(HERE.parent / "support"))

from terminal import Terminal, ctrl  # noqa: E402 - its folder was just added

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
SIZES = (10, 1_000, 10_000)
SERVICES = 50
FUZZY = f"FuzzyWordCompleter, {SIZES[-1]:,}"
QUIET = 0.06  # seconds without output after which a keystroke is done
SYLLABLES = re.findall("..", "regisslogpaywaletopclosemasendatvertouseraccordshipfu")

PEER = """
import sys
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import FuzzyWordCompleter
names = open(sys.argv[1]).read().split() if len(sys.argv) > 1 else []
PromptSession("local> ", completer=FuzzyWordCompleter(names) if names else None, complete_while_typing=True).prompt()
"""


def main() -> None:
    """Measure and print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {key: value for key, value in os.environ.items() if not key.startswith(("MP_", "XDG_", "PYTHONDONT"))}
        env |= {"HOME": name, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PATH": f"{BIN}:{os.environ['PATH']}"}
        platforms = {size: platform(folder / str(size), size, env) for size in SIZES}
        first_prompt(platforms[SIZES[0]], env)
        keystrokes(platforms, folder, env)
        completer(folder)


def names(size: int) -> list[str]:
    """So many task names, the same at each run."""
    chance = random.Random(size)
    found: set[str] = set()
    services = [f"mp{''.join(chance.choices(SYLLABLES, k=2))}{number}" for number in range(min(SERVICES, size))]
    while len(found) < size:
        words = "_".join("".join(chance.choices(SYLLABLES, k=2)) for _ in range(2))
        found.add(f"{chance.choice(services)}.{chance.choice(['sync', 'async'])}.{words}")
    return sorted(found)


def platform(folder: Path, size: int, env: Mapping[str, str]) -> Path:
    """A platform with so many tasks in its source, indexed."""
    folder.mkdir()
    (folder / "mp.toml").write_text('[platform]\nname = "bench"\n')
    tasks: dict[str, list[str]] = {}
    for name in names(size):
        service, mode, word = name.split(".")
        doc = f'    """{word.replace("_", " ").capitalize()}."""\n'
        tasks.setdefault(service, []).append(
            f"@{mode}_app.task\ndef {word}(user_obj: dict, *, note: str = '') -> dict:\n{doc}    return user_obj\n"
        )
    for service, functions in tasks.items():
        package = folder / service / service
        package.mkdir(parents=True)
        project = f'[project]\nname = "{service}"\nversion = "1"\n[tool.mpcli]\nservice = "{service}"\n'
        apps = f'sync = "{service}.apps:sync_app"\nasync = "{service}.apps:async_app"\n'
        (folder / service / "pyproject.toml").write_text(project + apps)
        (package / "tasks.py").write_text("from .apps import async_app, sync_app\n\n" + "\n".join(functions))
    done = subprocess.run(["mp", "tasks", "--offline", "--json"], cwd=folder, env=env, check=True, capture_output=True)
    assert done.stdout.count(b'"name": "mp') == size, done.stdout[:500]
    return folder


# -- the first prompt ----------------------------------------------------------------------------------------------


def first_prompt(folder: Path, env: Mapping[str, str]) -> None:
    """From exec to the prompt on the screen."""
    programs = {"python": ([sys.executable, "-q"], ">>>"), "mp shell": (["mp", "shell"], "local>")}
    programs |= {"ptpython": (["ptpython"], ">>>"), "ipython": (["ipython", "--no-banner"], "In [1]:")}
    there = {name: what for name, what in programs.items() if shutil.which(what[0][0], path=env["PATH"])}
    times: dict[str, list[float]] = {name: [] for name in there}
    for round_ in range(ROUNDS + 1):
        for name, (argv, prompt) in there.items():
            began = time.perf_counter()
            with Terminal(argv, folder, env) as terminal:
                terminal.see(prompt)
                if round_:
                    times[name].append((time.perf_counter() - began) * 1000)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"## The first prompt of `mp shell` ({ROUNDS} rounds, in a pseudo-terminal)\n")
    print("| program | median ms | min ms | of ptpython |\n|---|---|---|---|")
    for name, value in median.items():
        share = f"{value / median['ptpython']:.2f}" if "ptpython" in median else "not installed"
        print(f"| {name} | {value:.0f} | {min(times[name]):.0f} | {share} |")
    print()


# -- keystrokes ----------------------------------------------------------------------------------------------------


def keystrokes(platforms: Mapping[int, Path], folder: Path, env: Mapping[str, str]) -> None:
    """From a key to the last of what it changes on the screen, the menu included."""
    print("## A keystroke in `mp shell`, to the screen (ms)\n")
    print("Typing the beginnings, middles and letters of task names; a frame is 16 ms. Wall time ends with the last")
    print("of what the key changes. Processor time is what all threads of the program used of it: a busy machine adds")
    print("to the first and hardly to the second. The floor has no menu to draw.\n")
    print("| tasks | keys | wall p50 | p99 | worst | processor p50 | p99 | worst |")
    print("|---|---|---|---|---|---|---|---|")
    for size, where in platforms.items():
        with Terminal(["mp", "shell"], where, env, 110, 30) as terminal:
            terminal.see(lambda terminal=terminal: "sync ✗ async ✗" in terminal.bar)
            measure(f"{size:,}", terminal, queries(size))
    (folder / "peer.py").write_text(PEER)
    (folder / "names").write_text("\n".join(names(SIZES[-1])))
    for what, words, count, quiet in (("no completion: the floor", [], 40, QUIET), (FUZZY, ["names"], 6, 0.4)):
        with Terminal([sys.executable, "peer.py", *words], folder, env, 110, 30) as terminal:
            terminal.see("local>")
            measure(f"prompt_toolkit, {what}", terminal, queries(SIZES[-1])[:count], quiet)
    print()


def measure(name: str, terminal: Terminal, words: list[str], quiet: float = QUIET) -> None:
    """Type the words, and print their row."""
    walls, processors = zip(*typed(terminal, words, quiet), strict=True)
    print(f"| {name} | {len(walls)} | {figures(walls)} | {figures(processors)} |")


def processor(pid: int) -> float:
    """Milliseconds of processor time that all threads of a process have used, to the microsecond.

    The clock of another process, as clock_getcpuclockid(3) makes it, which Python does not have; Linux only.
    """
    return time.clock_gettime((~pid << 3) | 2) * 1000


def figures(values: Sequence[float]) -> str:
    """Median, 99th percentile and worst, as three cells of a table."""
    ordered = sorted(values)
    p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
    return f"{statistics.median(ordered):.2f} | {p99:.2f} | {ordered[-1]:.2f}"


def row(name: str, values: Sequence[float]) -> None:
    """One line of a table."""
    print(f"| {name} | {len(values)} | {figures(values)} |")


def queries(size: int) -> list[str]:
    """What people type of names: their beginning, their last word, some of their letters, and letters of none."""
    chance = random.Random(7)
    found = []
    for name in chance.sample(names(size), min(10, size)):
        found += [name[:14], name.rpartition(".")[2][:10], "".join(name[at] for at in range(0, 18, 2)), name[:6] + "zq"]
    return found


def typed(terminal: Terminal, words: list[str], quiet: float) -> Iterator[tuple[float, float]]:
    """Milliseconds of each key, by the clock on the wall and of a processor."""
    settle(terminal)
    for word in words:
        for key in word:
            yield stroke(terminal, key, quiet)
        terminal.send(ctrl("u"))
        settle(terminal)


def stroke(terminal: Terminal, key: str, quiet: float) -> tuple[float, float]:
    """Type a key and wait until nothing more comes of it; the time to the last output, and the processor's."""
    while select.select([terminal.descriptor], [], [], 0)[0]:
        terminal.read(0)  # what comes so late is not this key's
    used = processor(terminal.process.pid)
    began = last = time.perf_counter()
    terminal.send(key)
    while select.select([terminal.descriptor], [], [], quiet)[0]:
        last = time.perf_counter()
        terminal.read(0)
    return (last - began) * 1000, processor(terminal.process.pid) - used


def settle(terminal: Terminal) -> None:
    """Until nothing more comes."""
    while select.select([terminal.descriptor], [], [], 4 * QUIET)[0]:
        terminal.read(0)


# -- the completer alone -------------------------------------------------------------------------------------------


def completer(folder: Path) -> None:
    """The same keys, in the completer alone."""
    from prompt_toolkit.completion import CompleteEvent, FuzzyWordCompleter
    from prompt_toolkit.document import Document

    from mpcli.shell.candidates import Around, candidates
    from mpcli.shell.world import load

    print(
        "## A keystroke in the completer alone (ms)\n\n| completer | keys | p50 | p99 | worst |\n|---|---|---|---|---|"
    )
    for size in SIZES:
        complete = partial(candidates, world=load(str(folder / str(size)), "local"), around=Around(), asked=False)
        row(f"mp shell, {size:,} tasks", timed(complete, size))
    peer = FuzzyWordCompleter(names(SIZES[-1]))
    event = CompleteEvent(text_inserted=True)
    row(
        f"FuzzyWordCompleter, {SIZES[-1]:,}",
        timed(lambda text: list(peer.get_completions(Document(text), event)), SIZES[-1]),
    )
    print()


def timed(complete: Callable[[str], object], size: int) -> list[float]:
    """Milliseconds of each key, the median of three: at this scale the machine's other work shows."""
    return [
        statistics.median(once(complete, word[:end]) for _ in range(3))
        for word in queries(size)
        for end in range(1, len(word) + 1)
    ]


def once(complete: Callable[[str], object], text: str) -> float:
    """Milliseconds of one."""
    began = time.perf_counter()
    complete(text)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
