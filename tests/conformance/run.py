"""Client libraries' own integration suites on the embedded broker and on RabbitMQ: are the verdicts the same?

    python tests/conformance/run.py [--folder DIR] [--only SUITE] [--junit DIR]

The suites come from the source distributions of the clients and run as they are; only the address is ours, by the
environment variables that they read. What needs more than a plain broker (TLS with certificates that the distributions
do not carry, a server on the internet) is left out, for both brokers alike, and listed below. Exits with 0 when every
test has the same verdict on both, else with 1; with 2 when the comparison could not be made.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

sys.path.insert(0, str(Path(__file__).parent))
from servers import embedded, rabbitmq

PATIENCE = 60
"""Seconds for one test, and how long a hanging one is given to be told from a slow one."""


@dataclass(frozen=True)
class Suite:
    """Files of tests in a source distribution.

    `left_out` is why a test that contains the text does not run; `address` the variables by which it learns the port.
    """

    name: str
    distribution: str
    files: tuple[str, ...]
    left_out: dict[str, str]
    address: dict[str, str]


KOMBU_ADDRESS = {"RABBITMQ_HOST": "127.0.0.1", "RABBITMQ_5672_TCP": "{port}"}
SUITES = [
    Suite(
        "py-amqp",
        "amqp==5.4.2",
        ("t/integration/test_rmq.py", "t/integration/test_integration.py"),
        {
            "[tls]": "its certificates are not in the distribution",
            "test_tls_connect_fails": "its certificates are not in the distribution",
            "test_tls_default_certs": "connects to a server on the internet",
        },
        KOMBU_ADDRESS,
    ),
    Suite("kombu", "kombu==5.7.0", ("t/integration/test_py_amqp.py",), {}, KOMBU_ADDRESS),
    Suite(
        "rabbitpy",
        "rabbitpy==3.0.2",
        ("tests/test_integration.py", "tests/integration"),
        {},
        {"RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:{port}/%2f"},
    ),
]


@dataclass(frozen=True)
class Verdict:
    """How a test ended (passed, failed, error, skipped), and the line that says why."""

    outcome: str
    reason: str = ""


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="mp-conformance-") as temporary:
        folder = options.folder or Path(temporary)
        differences = 0
        for suite in SUITES:
            if options.only in ("", suite.name):
                differences += _compare(suite, _unpacked(suite, folder), options.junit or Path(temporary))
    print(f"\n{differences or 'no'} difference{'' if differences == 1 else 's'}")
    return 1 if differences else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keep the source distributions here, and take them from here")
    parser.add_argument("--only", choices=[suite.name for suite in SUITES], default="", help="run this suite alone")
    parser.add_argument("--junit", type=Path, help="keep the suites' full results here, as JUnit XML")
    return parser.parse_args()


def _unpacked(suite: Suite, folder: Path) -> Path:
    """The folder of the unpacked source distribution, fetched when it is not there."""
    name = suite.distribution.replace("==", "-")
    archive = folder / f"{name}.tar.gz"
    if not archive.exists():
        command = ["download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(folder)]
        if subprocess.run([sys.executable, "-m", "pip", *command, suite.distribution], check=False).returncode:
            sys.exit(2)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / name


def _compare(suite: Suite, source: Path, results: Path) -> int:
    """Run the suite on both brokers and print what it said. Returns the number of tests with two verdicts."""
    results.mkdir(parents=True, exist_ok=True)
    verdicts = {kind: _run(suite, source, results, kind) for kind in SERVERS}
    tests = sorted({test for found in verdicts.values() for test in found})
    if not tests:
        sys.exit(f"{suite.name}: no test ran")
    missing = Verdict("not run")
    rows = [(test, *(verdicts[kind].get(test, missing) for kind in SERVERS)) for test in tests]
    different = [row for row in rows if row[1].outcome != row[2].outcome]
    print(f"\n{suite.distribution}: {len(rows)} tests, {len(rows) - len(different)} with equal verdicts")
    for text, reason in suite.left_out.items():
        print(f"  left out: {text} ({reason})")
    width = max(len(test) for test in tests)
    print(f"  {'':{width}}  " + "  ".join(f"{kind:9}" for kind in SERVERS))
    for test, *found in rows:
        print(
            f"{'≠' if (test, *found) in different else ' '} {test:{width}}  "
            + "  ".join(f"{v.outcome:9}" for v in found)
        )
    for test, *found in different:
        for kind, verdict in zip(SERVERS, found, strict=True):
            print(f"\n{test} on {kind}: {verdict.outcome}\n  {verdict.reason[:500]}")
    return len(different)


def _run(suite: Suite, source: Path, results: Path, kind: str) -> dict[str, Verdict]:
    """The verdict of each test of the suite on a fresh broker."""
    report = results / f"{suite.name}-{kind}.xml"
    with SERVERS[kind]() as port:
        left_out = " and ".join(f"not {text.strip('[]')}" for text in suite.left_out)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
                *(
                    f"--timeout={PATIENCE}",
                    f"--junitxml={report}",
                    *(["-k", left_out] if left_out else []),
                    *suite.files,
                ),
            ],
            cwd=source,
            env={**os.environ, **{name: value.format(port=port) for name, value in suite.address.items()}},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
    if not report.exists() or done.returncode not in (0, 1):
        print(f"{suite.name} could not be run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        sys.exit(2)
    return _verdicts(report)


def _verdicts(report: Path) -> dict[str, Verdict]:
    found = {}
    for case in ET.parse(report).iter("testcase"):
        outcome = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
        name = f"{case.get('classname', '').removeprefix('t.integration.')}.{case.get('name')}"
        if outcome is None:
            found[name] = Verdict("passed")
        else:
            tag = {"failure": "failed"}.get(outcome.tag, outcome.tag)
            found[name] = Verdict(tag, outcome.get("message", ""))
    return found


SERVERS: dict[str, Callable[[], contextmanager[Iterator[int]]]] = {"embedded": embedded, "rabbitmq": rabbitmq}

if __name__ == "__main__":
    sys.exit(main())
