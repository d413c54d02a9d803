"""What `mp new` makes, as its owner meets it: installed, linted, type-checked, tested, on the machine's own tools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TASKS = (
    "--task=sync.register(user_obj: dict, when: datetime, *, amount: Decimal | None = None) -> dict",
    "--task=sync.count(names: list[str], /) -> int",
    '--task=async.send_mail(to: str, text: str = "it\'s")',
)
KINDS = {
    "journal": ("mp", "mpnotes", ()),
    "stubs": ("mp", "mpstubs", TASKS),
    "async stubs": ("mp", "mpmails", TASKS[2:]),
    "login": ("mp", "mplogin", ("--example", "login")),
    "wallet": ("mp", "mpwallet", ("--example", "wallet")),
    "login, of another name": ("ac", "acaccounts", ("--example", "login")),
}

# Each test installs, lints, types and tests a service: several tools, one after the other.
pytestmark = pytest.mark.timeout(300)


def tool(*arguments: str, cwd: Path, timeout: float = 250, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python tool, with nothing of this process's platform in its environment. Fails with what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MP_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} in {cwd}\n{done.stdout}\n{done.stderr}"
    return done


def generate(folder: Path, prefix: str, name: str, options: tuple[str, ...]) -> Path:
    tool("mpcli", "new", "platform", "shop", "--prefix", prefix, cwd=folder, HOME=str(folder))
    tool("mpcli", "new", "service", name, *options, cwd=folder / "shop", HOME=str(folder))
    return folder / "shop" / name


@pytest.mark.parametrize("kind", KINDS)
def test_a_generated_service_is_sound(kind: str, tmp_path: Path, run_folder: Path) -> None:
    prefix, name, options = KINDS[kind]
    service = generate(tmp_path, prefix, name, options)

    tool("ruff", "check", "--no-cache", ".", cwd=service)
    tool("ruff", "format", "--no-cache", "--check", ".", cwd=service)
    tool("mypy", "--cache-dir", str(tmp_path / "mypy"), cwd=service)
    # The run's folder in the environment lets the end of the run find a worker that was left behind.
    tested = tool("pytest", "-q", "-p", "no:cacheprovider", cwd=service, MP_TEST_RUN=str(run_folder))
    assert " passed" in tested.stdout
    assert "skipped" not in tested.stdout


@pytest.mark.parametrize("kind", ["stubs", "login"])
def test_a_generated_service_is_installed_as_a_package(kind: str, tmp_path: Path) -> None:
    prefix, name, options = KINDS[kind]
    service = generate(tmp_path, prefix, name, options)
    site = tmp_path / "site"

    install = ("install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    tool("pip", *install, "--target", str(site), str(service), cwd=tmp_path)

    sources = {path.name for path in (service / name).iterdir() if path.is_file()}
    assert {path.name for path in (site / name).iterdir() if path.is_file()} == sources
    assert not (site / "tests").exists()
    # -P: the platform's folder, where the tool runs, is not searched; what is imported is what was installed.
    imported = subprocess.run(
        [sys.executable, "-P", "-c", f"import {name}.sync_tasks, {name}.async_tasks as a; print(a.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert imported.stdout.startswith(str(site))


@pytest.mark.parametrize("options", [(), TASKS, ("--example", "login"), ("--example", "wallet")])
def test_a_service_with_the_longest_name_is_clean(options: tuple[str, ...], tmp_path: Path) -> None:
    service = generate(tmp_path, "mp", "mp" + "x" * 61, options)

    tool("ruff", "check", "--no-cache", ".", cwd=service)
    tool("compileall", "-q", ".", cwd=service)
