"""Every check of this repository, each as a session: `nox -l` lists them, `nox -s lint types tests` runs some."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"
ROOT = Path(__file__).parent


def _install(session: nox.Session) -> None:
    session.install("-q", "-e", ".[test]")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and the layers of the house."""
    _install(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    _install(session)
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, in parallel: unit, contract, acceptance, scaffolds."""
    _install(session)
    session.run("pytest", "-n", "4", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """What holds on the embedded broker and on a real RabbitMQ."""
    _install(session)
    session.run("pytest", "-n", "4", "tests/contract", *session.posargs)


@nox.session
def acceptance(session: nox.Session) -> None:
    """The installed `mp`, from outside."""
    _install(session)
    session.run("pytest", "-n", "4", "tests/acceptance", *session.posargs)


@nox.session
def scaffolds(session: nox.Session) -> None:
    """Generated services are installed, linted, type-checked and tested."""
    _install(session)
    session.run("pytest", "-n", "4", "tests/scaffolds", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it into an empty environment, and run the main job from there."""
    session.install("-q", "build", "hatchling")
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), silent=True)
    (built,) = dist.glob("mpcli-*.whl")
    empty = dist.parent / "empty"
    session.run("python", "-m", "venv", "--clear", str(empty))
    session.run(str(empty / "bin" / "pip"), "install", "-q", str(built), external=True)
    with session.chdir(dist.parent):  # away from the checkout: what is not in the wheel must not be found
        session.run(str(empty / "bin" / "mp"), "demo", external=True)


@nox.session
def bus(session: nox.Session) -> None:
    """`import mpcli.bus` needs Celery and nothing else of what `mp` brings."""
    session.install("-q", "build", "hatchling")
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), silent=True)
    (built,) = dist.glob("mpcli-*.whl")
    slim = dist.parent / "slim"
    session.run("python", "-m", "venv", "--clear", str(slim))
    pip = str(slim / "bin" / "pip")
    session.run(pip, "install", "-q", "celery", external=True)
    session.run(pip, "install", "-q", "--no-deps", str(built), external=True)
    with session.chdir(dist.parent):
        session.run(str(slim / "bin" / "python"), str(ROOT / "tests" / "slim_bus.py"), external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Every link inside the documentation leads somewhere, and every command in it exists."""
    _install(session)
    session.run("pytest", "tests/unit/test_docs.py", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure, as ratios against peers and floors in one run, and write docs/reference/benchmarks.md."""
    _install(session)
    session.install("-q", "ptpython", "ipython")  # what the first prompt of `mp shell` is held against
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Other client libraries' own test suites: the same verdicts on the embedded broker as on a RabbitMQ node."""
    _install(session)
    session.install("-q", "rabbitpy==3.0.2", "python-dotenv")  # what its tests import
    session.run("python", "tests/conformance/run.py", *session.posargs)


@nox.session
def differential(session: nox.Session) -> None:
    """Random sequences of AMQP operations: a client sees the same of the embedded broker as of a RabbitMQ node."""
    _install(session)
    session.run("python", "tests/differential/run.py", *session.posargs)
