"""Run every `bench_*.py` beside this file and write their tables to docs/reference/benchmarks.md.

Each is a script that starts what it needs, measures in one run what it compares, and prints a markdown section.
Machines are noisy: quote the ratios. `run.py NAME ...` runs some and prints them without touching the page; `--quick`
takes one round of the long ones.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "benchmarks.md"
DEADLINE = 1800  # seconds for one script
LONG = ("bench_broker", "bench_queues", "bench_replay", "bench_tail")


def section(script: Path, quick: bool) -> str:
    """What the script printed. Its stderr goes to ours; a failing benchmark fails the run."""
    done = subprocess.run(
        [sys.executable, str(script), *(["--quick"] if quick and script.stem in LONG else [])],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=DEADLINE,
        cwd=HERE,
        # A start without .pyc files is not the start that users have.
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
    )
    return done.stdout.strip() + "\n"


def heading(quick: bool) -> str:
    """Where it was measured."""
    return (
        "# Benchmarks\n\n"
        "Made by `nox -s benchmarks`. Ratios within a table were measured in one run, in turn; "
        "absolute times belong to the machine.\n\n"
        f"Machine: {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.\n"
        + ("The tables of broker, replay and tail hold one round each (`--quick`): indicative.\n" if quick else "")
    )


def main(names: list[str]) -> None:
    """Run all, or those named."""
    quick = "--quick" in names
    names = [name for name in names if name != "--quick"]
    scripts = sorted(HERE.glob("bench_*.py"))
    if names:
        for script in scripts:
            if script.stem.removeprefix("bench_") in names:
                print(section(script, quick))
        return
    PAGE.write_text("\n".join([heading(quick), *(section(script, quick) for script in scripts)]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
