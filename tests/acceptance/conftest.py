"""The installed `mp`, run from outside as a user runs it: a subprocess with an empty HOME, or a pseudo-terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mpcli.brokers.rabbitmq.installation import find_installation
from mpcli.errors import BrokerUnavailable

MP = str(Path(sys.executable).parent / "mp")
BROKERS = [pytest.param("embedded"), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's environment without a trace of ours: no broker, no colour, an empty HOME."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MP_", "PYTEST", "XDG_"))}
    return {**kept, "HOME": str(home), "PATH": f"{Path(MP).parent}:{os.environ['PATH']}", **more}


@pytest.fixture(scope="session")
def mp_program() -> str:
    """The path of the installed `mp`."""
    return MP


@pytest.fixture
def empty_home(tmp_path: Path) -> dict[str, str]:
    """An environment whose HOME and temporary folder are this test's own."""
    return environment(tmp_path, TMPDIR=str(tmp_path))


def need_broker(kind: str) -> None:
    """Skip where there is no RabbitMQ on the machine; with CI=true that is a failure."""
    if kind != "rabbitmq":
        return
    try:
        find_installation()
    except BrokerUnavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and {error.message}")
        pytest.skip(error.message)


@pytest.fixture
def mp(tmp_path: Path, run_folder: Path) -> Run:
    """Run `mp` with arguments, in `cwd` or an empty folder; gives the completed process."""
    return runner(tmp_path, run_folder)


@pytest.fixture(scope="session")
def mp_at(run_folder: Path) -> Callable[[Path], Run]:
    """A function that gives `mp` for a home folder, as the fixture `mp` has it; for fixtures of wider scope."""
    return partial(runner, run_folder=run_folder)


@pytest.fixture(scope="session")
def environment_at(run_folder: Path) -> Callable[..., dict[str, str]]:
    """A function that gives the environment of a user with this home folder."""
    return partial(environment, MP_TEST_RUN=str(run_folder))


def runner(home: Path, run_folder: Path) -> Run:
    def run(
        *arguments: str, cwd: Path = home, timeout: float = 60, stdin: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MP, *arguments],
            cwd=cwd,
            # The run's folder in the environment lets the end of the run find whatever was left behind.
            env=environment(home, MP_TEST_RUN=str(run_folder), **more),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
            check=False,
        )

    return run


@pytest.fixture(scope="module", params=BROKERS)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run_folder: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`mp` in a running platform with the login and the wallet example, on each kind of broker."""
    need_broker(request.param)
    folder = tmp_path_factory.mktemp(f"shop-{request.param}")
    mp = runner(folder, run_folder)

    def here(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        return mp(*arguments, cwd=folder, **more)

    for name, example in (("mplogin", "login"), ("mpwallet", "wallet")):
        made = here("new", "service", name, "--example", example)
        assert made.returncode == 0, made.stderr
    up = here("up", "-d", "--broker", request.param, timeout=100)
    assert up.returncode == 0, up.stderr
    try:
        here.folder = folder  # type: ignore[attr-defined]
        yield here
    finally:
        pids = state_pids(folder)
        down = here("down")
        assert down.returncode == 0, down.stderr
        assert not [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    """Not so for a zombie: what has ended and was not waited for, where process 1 does not do that."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def state_pids(folder: Path) -> list[int]:
    """The processes that the running platform says it has."""
    state = json.loads((folder / ".mp" / "state.json").read_text())
    return [state["supervisor"]["pid"], *(process["pid"] for process in state["processes"])]
