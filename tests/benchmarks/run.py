"""Run every `bench_*.py` beside this file and write their tables to docs/reference/benchmarks.md.

Each is a script that starts what it needs, measures in one run what it compares, and prints a markdown section.
Machines are noisy: quote the ratios. `run.py NAME ...` runs some and prints them without touching the page.
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


def section(script: Path) -> str:
    """What the script printed. Its stderr goes to ours; a failing benchmark fails the run."""
    done = subprocess.run(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=True, timeout=DEADLINE, cwd=HERE
    )
    return done.stdout.strip() + "\n"


def heading() -> str:
    """Where it was measured."""
    return (
        "# Benchmarks\n\n"
        "Made by `nox -s benchmarks`. Ratios within a table were measured in one run, in turn; "
        "absolute times belong to the machine.\n\n"
        f"Machine: {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.\n"
    )


def main(names: list[str]) -> None:
    """Run all, or those named."""
    scripts = sorted(HERE.glob("bench_*.py"))
    if names:
        for script in scripts:
            if script.stem.removeprefix("bench_") in names:
                print(section(script))
        return
    PAGE.write_text("\n".join([heading(), *map(section, scripts)]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
